"""The same as :mod:`distributedlog.admin`."""

from distributedlog.admin import *
from distributedlog.admin import __all__ as __all__
