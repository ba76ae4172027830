"""Apply literal substitutions to a source tree, and refuse those that miss."""

import dataclasses


class SubstitutionError(Exception):
    """A substitution does not apply to the source tree as expected."""


@dataclasses.dataclass(frozen=True)
class Substitution:
    """One literal replacement in one file.

    Attributes:
        file (str): The file, relative to the source tree, with slashes.
        old (str): What to replace.
        new (str): What to put there.
        why (str): The reason, in a sentence.
        count (int): How many times `old` must occur; each is replaced.
        to_end (bool): Replace from `old` to the end of the file.
    """

    file: str
    old: str
    new: str
    why: str
    count: int = 1
    to_end: bool = False


def apply(substitutions, tree):
    """Apply `substitutions`, in order, to the files under `tree`.

    Nothing is written unless every one of them applies.

    Args:
        substitutions (Iterable[Substitution]): What to replace.
        tree (pathlib.Path): The root of the source tree.

    Raises:
        SubstitutionError: A file is missing, or does not contain the text to
            be replaced as often as expected.
    """
    texts = {}
    for item in substitutions:
        if item.file not in texts:
            texts[item.file] = _read(tree, item.file)
        texts[item.file] = _replace(texts[item.file], item)
    for file, text in texts.items():
        (tree / file).write_text(text, encoding='utf-8', newline='\n')


def _read(tree, file):
    try:
        return (tree / file).read_text(encoding='utf-8')
    except FileNotFoundError:
        raise SubstitutionError(
            f'{file}: there is no such file in {tree.name}, so the '
            'substitution for it no longer applies.') from None


def _replace(text, item):
    found = text.count(item.old)
    if found != item.count:
        raise SubstitutionError(
            f'{item.file}: a substitution no longer applies, for {item.old!r} '
            f'occurs {found} times there, not {item.count}.')
    if item.to_end:
        return text[:text.index(item.old)] + item.new
    return text.replace(item.old, item.new)
