"""The same as :mod:`distributedlog`, by the name of the broker."""

from distributedlog import *
from distributedlog import __all__ as __all__
from distributedlog import __version__ as __version__
