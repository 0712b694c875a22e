"""Config: a record of settings that can be read as attributes or items, and frozen."""

import json
from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import Any

from thalweg.base.errors import ArgumentError, explain


class Config:
    """Named settings: `config.rate`, `config["rate"]`; `freeze()` makes them read-only.

    >>> config = Config(rate=0.1, layers=3)
    >>> config.rate = 0.2
    >>> config
    <Config {'rate': 0.2, 'layers': 3}>

    Errors: ArgumentError when a frozen one is changed; AttributeError or KeyError for what is not
    there.
    """

    _settings: dict[str, Any]
    _is_frozen: bool

    def __init__(self, **kwargs: Any):
        object.__setattr__(self, "_settings", dict(kwargs))
        object.__setattr__(self, "_is_frozen", False)

    @property
    def frozen(self) -> bool:
        """True while the settings cannot be changed."""
        return self._is_frozen

    def freeze(self) -> None:
        """Refuse changes from now on."""
        object.__setattr__(self, "_is_frozen", True)

    def unfreeze(self) -> None:
        """Allow changes again."""
        object.__setattr__(self, "_is_frozen", False)

    def _changeable(self) -> dict[str, Any]:
        if self._is_frozen:
            raise ArgumentError(
                explain(
                    "Config",
                    "an unfrozen config where attributes are changed",
                    "a change, but Cannot mutate attribute(s) because the config is frozen",
                    "Call config.unfreeze() first.",
                )
            )
        return self._settings

    def as_dict(self) -> dict[str, Any]:
        """The settings as a new dictionary."""
        return dict(self._settings)

    def to_json(self) -> str:
        """The settings as JSON text."""
        return json.dumps(self._settings)

    def keys(self) -> KeysView[str]:
        """The names of the settings."""
        return self._settings.keys()

    def values(self) -> ValuesView[Any]:
        """The values of the settings."""
        return self._settings.values()

    def items(self) -> ItemsView[str, Any]:
        """Pairs of name and value."""
        return self._settings.items()

    def get(self, keyname: str, value: Any = None) -> Any:
        """The setting of that name, or `value` where there is none."""
        return self._settings.get(keyname, value)

    def pop(self, *args: Any) -> Any:
        """Take a setting out: `pop(name)` or `pop(name, default)`."""
        return self._changeable().pop(*args)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Take over the settings of a dictionary or config, or of keyword arguments."""
        self._changeable().update(*args, **kwargs)

    def __getitem__(self, key: str) -> Any:
        return self._settings[key]

    def __setitem__(self, key: str, item: Any) -> None:
        self._changeable()[key] = item

    def __delitem__(self, key: str) -> None:
        del self._changeable()[key]

    def __getattr__(self, name: str) -> Any:
        # Dunder look-ups come while a copy has no settings yet.
        if not name.startswith("__") and name in self.__dict__.get("_settings", {}):
            return self._settings[name]
        raise AttributeError(f"Unknown attribute: {name!r}.", name=name, obj=self)

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        if name not in self._settings:
            raise AttributeError(f"Unknown attribute: {name!r}.", name=name, obj=self)
        del self[name]

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __dir__(self) -> list[str]:
        return [*self._settings, *super().__dir__()]

    def __contains__(self, item: object) -> bool:
        return item in self._settings

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._settings))

    def __len__(self) -> int:
        return len(self._settings)

    def __repr__(self) -> str:
        return f"<Config {self._settings}>"
