"""`ContractSettings` prepared for the hot path: plain attributes, sets instead of lists."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.core.contract import ContractSettings, Limits
from pipeline.core.currencies import ISO_4217
from pipeline.core.reasons import Reason

ANY_EVENT = "*"


@dataclass(frozen=True, slots=True)
class Policy:
    """Settings in the form that the rules use; made once."""

    warns: frozenset[Reason]
    """Rules with severity `warn`: the event is kept as sent."""
    codes: frozenset[str]
    """Currency codes that are accepted."""
    default_currency: str
    default_always: bool
    replaces_surrogates: bool
    """Whether halves of surrogate pairs are replaced; otherwise the event is rejected."""
    takes_other_calls: bool
    """Whether page, screen, identify, group and alias calls are dropped or forwarded."""
    forwards_other_calls: bool
    keep_write_key: bool
    warns_of_rounding: bool
    """Whether an amount of more than nine decimals is warned about."""
    identify_events: frozenset[str]
    limits: Limits

    @classmethod
    def from_settings(cls, settings: ContractSettings) -> Policy:
        """Policy for these settings."""
        rules = settings.rules.model_dump()
        surrogates = rules.pop("lone_surrogate")
        return cls(
            warns=frozenset(Reason(code) for code, severity in rules.items() if severity == "warn"),
            codes=ISO_4217 | settings.currency.extra_codes | {settings.default_currency},
            default_currency=settings.default_currency,
            default_always=settings.default_currency_when == "always",
            replaces_surrogates=surrogates == "warn",
            takes_other_calls=settings.on_other_type != "dead-letter",
            forwards_other_calls=settings.on_other_type == "forward",
            keep_write_key=settings.keep_write_key,
            warns_of_rounding=settings.warn_more_than_nine_decimals,
            identify_events=frozenset(rule.event for rule in settings.identify),
            limits=settings.limits,
        )

    def identifies(self, event: str) -> bool:
        """Whether events of this name also produce an identify message."""
        return event in self.identify_events or ANY_EVENT in self.identify_events
