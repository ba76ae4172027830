"""The data that ships with the course, and MNIST, which is downloaded once.

Every file is checked against its SHA-256 when loaded.
"""
from course_lib.datasets.challenger import Challenger, load_challenger
from course_lib.datasets.digits import Digits, load_digits
from course_lib.datasets.engel import Engel, load_engel
from course_lib.datasets.gpu_times import GPUTimes, load_gpu_times
from course_lib.datasets.horse_kicks import HorseKicks, load_horse_kicks
from course_lib.datasets.mnist import MNIST, load_mnist
from course_lib.datasets.rand_hie import RandHIE, load_rand_hie

__all__ = ['MNIST', 'Challenger', 'Digits', 'Engel', 'GPUTimes', 'HorseKicks', 'RandHIE',
           'load_challenger', 'load_digits', 'load_engel', 'load_gpu_times', 'load_horse_kicks',
           'load_mnist', 'load_rand_hie']
