"""What the tables of attempts in the tests of the checks have in common."""
import numpy as np


def assert_verdict(exercise, answer, expected):
    """The verdict contains what is expected, begins as verdicts do, and is always the same."""
    verdict = exercise.judge(answer)
    assert expected in verdict, verdict
    assert verdict.startswith(('Correct.', 'Not attempted yet', 'Not yet: ', 'Not yet, but close'))
    assert verdict == exercise.judge(answer)


def assert_no_hint_gives_the_answer_away(*exercises):
    """No hint of the exercises contains a number of the right answer."""
    for exercise in exercises:
        answers = {f'{v:.2f}' for right in exercise.right for v in np.ravel(right)}
        for _, hint in exercise.mistakes:
            assert not any(answer in hint for answer in answers)
