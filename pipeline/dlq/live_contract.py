"""Whether the live worker has the same rules as a redrive, by the contract noted in its commits."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.core.contract import ContractSettings
from pipeline.core.offset_metadata import OffsetMetadata, read_offset_metadata
from pipeline.core.timestamps import format_time
from pipeline.dlq.reprocess import make_reprocessor
from pipeline.errors import SettingsError, TransportError
from pipeline.settings.model import Settings
from pipeline.settings.names import leaves
from pipeline.wiring import admin


def newest_note(metadata: Iterable[str]) -> OffsetMetadata | None:
    """Note that was committed last, since idle partitions keep old ones; None without any."""
    notes = (read_offset_metadata(text) for text in metadata)
    return max((note for note in notes if note), key=lambda note: note.at, default=None)


def check_live_contract(settings: Settings, *, force: bool, raw: bool) -> str:
    """Compare the rules of these settings with those of the live worker; returns a note.

    The note says what is not known or differs, and is empty for nothing. Raises SettingsError when
    a change must be deployed first. With `raw`, events go through the worker once more, which must
    trust their origin headers: otherwise they would be new events, and `force` does not help.
    Raises TransportError when the commits can't be read, unless it is forced.
    """
    try:
        live = newest_note(admin(settings).commit_notes(settings.group, settings.topics.raw))
    except TransportError as error:
        if not force or raw:
            raise
        return f"the rules of the live worker are not known ({error})"
    if live is None:
        text = f"group {settings.group} has committed nothing for {settings.topics.raw}"
        if raw:
            problem = f"{text}, so it is not known whether it accepts origin headers"
            raise SettingsError([f"--to raw: {problem}: name the worker's group with --group"])
        return f"{text}, so its rules are not known: is --group right?"
    if raw and not live.origin:
        problem = (
            "--to raw: the live worker does not accept origin headers, so these events would be "
            "new ones: set accept_origin_headers there, or use --to enriched"
        )
        raise SettingsError([problem])
    here = make_reprocessor(settings).contract
    if live.contract == here:
        return ""
    since = format_time(live.at)
    text = f"the live worker has rules {live.contract} (committed {since}), here they are {here}"
    if not force:
        problem = f"{text}: deploy the same version and settings first, or say --force"
        raise SettingsError([f"{problem}. {_rule_settings(settings)}"])
    return text


def _rule_settings(settings: Settings) -> str:
    """Name the settings that may differ: the worker's commits tell no more than a hash."""
    named = [
        f"{leaf.name} ({settings.sources[leaf.name]})"
        for leaf in leaves(ContractSettings)
        if leaf.name in settings.sources and leaf.path[0] != "dead_letter"
    ]
    if not named:
        return "No setting of the rules is given here: is --config missing?"
    return f"Given here: {', '.join(named)}"
