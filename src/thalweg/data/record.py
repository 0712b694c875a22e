"""Record: classes of fields that never change, made without generating code.

A pipeline has some thirty kinds of steps. Generating the methods of as many data classes takes
longer than importing everything else here.
"""

import inspect
from typing import Any, ClassVar, dataclass_transform


@dataclass_transform(eq_default=False, frozen_default=True)
class Record:
    """A frozen record: the annotated names of a subclass are its fields, in order.

    A value in the class body is a field's default. Records are equal when they are the same.
    """

    _names: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        cls._names = (*cls._names, *inspect.get_annotations(cls))

    def __init__(self, *values: Any, **named: Any):
        fields = dict(zip(self._names, values, strict=False)) | named
        missing = [name for name in self._names if name not in fields and not hasattr(self, name)]
        if missing or len(values) > len(self._names) or fields.keys() - set(self._names):
            raise TypeError(f"{type(self).__name__} takes {self._names}, was given {fields}")
        self.__dict__.update(fields)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} does not change")
