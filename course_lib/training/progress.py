"""A progress bar with the time that is left."""
import math
import sys

import chainer
from tqdm import tqdm


class Progress(chainer.training.Extension):
    """A bar on standard error: the epoch, the time taken and left, the mean loss of the last epoch.

    Chainer's ``ProgressBar`` and ``PrintReport`` move the cursor with escape codes and write
    speeds to standard output; in a notebook that is neither readable nor repeatable.

    Args:
        description (str): What is being trained.
        loss (str): The entry of Chainer's ``LogReport`` that is shown, if it is there.
        file: Where to write; by default standard error.
    """

    trigger = 1, 'iteration'
    priority = chainer.training.PRIORITY_READER - 50   # after the LogReport
    name = 'progress'

    def __init__(self, description='training', loss='main/loss', file=None):
        self.description = description
        self.loss = loss
        self.file = file
        self._bar = None

    def initialize(self, trainer):
        stop = trainer.stop_trigger
        try:
            self._report = trainer.get_extension('LogReport')
        except ValueError:
            self._report = None
        self._is_epochs = stop.unit == 'epoch'
        self._bar = tqdm(
            total=stop.period, initial=self._position(trainer), desc=self.description,
            file=self.file or sys.stderr, unit=stop.unit, mininterval=0.2, leave=True,
            bar_format='{desc}: {percentage:3.0f}%|{bar}| {n:.1f}/{total} {unit}s '
                       '[{elapsed}<{remaining}{postfix}]')

    def _position(self, trainer):
        updater = trainer.updater
        return updater.epoch_detail if self._is_epochs else updater.iteration

    def __call__(self, trainer):
        if trainer.updater.is_new_epoch and self._report and self._report.log:
            loss = self._report.log[-1].get(self.loss, math.nan)
            self._bar.set_postfix_str(f'{self.loss} {loss:.4g}', refresh=False)
        self._bar.update(min(self._position(trainer), self._bar.total) - self._bar.n)

    def finalize(self):
        if self._bar is not None:
            self._bar.close()
