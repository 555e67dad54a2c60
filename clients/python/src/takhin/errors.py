"""The same as :mod:`distributedlog.errors`."""

from distributedlog.errors import *
from distributedlog.errors import __all__ as __all__
