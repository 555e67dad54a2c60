"""The same as :mod:`distributedlog.consumer`."""

from distributedlog.consumer import *
from distributedlog.consumer import __all__ as __all__
