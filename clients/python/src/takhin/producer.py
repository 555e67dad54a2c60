"""The same as :mod:`distributedlog.producer`."""

from distributedlog.producer import *
from distributedlog.producer import __all__ as __all__
