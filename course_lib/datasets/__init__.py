"""The data that ships with the course. Every file is checked against its SHA-256 when loaded."""
from course_lib.datasets.challenger import Challenger, load_challenger

__all__ = ['Challenger', 'load_challenger']
