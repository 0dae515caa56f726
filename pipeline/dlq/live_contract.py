"""Whether the live worker runs the rules that the desk would send letters under."""

from __future__ import annotations

from pipeline.cli.dlq.options import Asked
from pipeline.core.contract import ContractSettings
from pipeline.core.timestamps import format_time
from pipeline.dlq.commit_survey import newest_note
from pipeline.errors import SettingsError, TransportError
from pipeline.settings.model import Settings
from pipeline.settings.names import leaves
from pipeline.wiring import admin, make_again


def check_live_rules(asked: Asked, *, force: bool, raw: bool) -> str:
    """A note for the plan; SettingsError when a fix must be deployed first.

    `raw`: letters go through the worker once more, which must believe their origin headers; without
    that they are new events, so that nothing forces it. TransportError when the commits can't be
    read, unless it is forced.
    """
    settings = asked.settings
    try:
        live = newest_note(admin(settings).commit_notes(settings.group, settings.topics.raw))
    except TransportError as error:
        if not force or raw:
            raise
        return f"the live worker's rules are not known ({error})"
    if live is None:
        text = f"group {settings.group} has committed nothing of {settings.topics.raw}"
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
    here = make_again(settings).contract
    if live.contract == here:
        return ""
    since = format_time(live.at)
    said = f"the live worker runs {live.contract} (committed {since}), here is {here}"
    if not force:
        problem = f"{said}: deploy the same version and settings first, or say --force"
        raise SettingsError([f"{problem}. {_given(settings)}"])
    return said


def _given(settings: Settings) -> str:
    """Where to look for what differs: the worker's commits tell no more than a hash."""
    given = [
        f"{leaf.name} ({settings.sources[leaf.name]})"
        for leaf in leaves(ContractSettings)
        if leaf.name in settings.sources and leaf.path[0] != "dead_letter"
    ]
    if not given:
        return "No setting of the rules is given here: is --config missing?"
    return f"Given here: {', '.join(given)}"
