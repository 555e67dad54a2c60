"""The same as :mod:`distributedlog.serialization`."""

from distributedlog.serialization import *
from distributedlog.serialization import __all__ as __all__
