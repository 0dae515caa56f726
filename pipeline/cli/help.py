"""Help of commands with many options: options in groups, the usual first, and examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

_REST: Final = "Other options"


class Command(click.Command):
    """Shows its options in `groups`: title → flags, in this order; the rest comes last.

    `examples` are commands by what they do; they stand at the end, where a terminal shows them.
    """

    def __init__(
        self,
        *args: Any,  # noqa: ANN401  click's
        groups: Mapping[str, Sequence[str]] | None = None,
        examples: Mapping[str, str] | None = None,
        **kwargs: Any,  # noqa: ANN401  click's
    ) -> None:
        super().__init__(*args, **kwargs)
        self._groups = groups or {}
        self.examples = examples or {}
        flags = {flag for each in self.params for flag in each.opts}
        unknown = [flag for each in self._groups.values() for flag in each if flag not in flags]
        if unknown:
            raise ValueError(f"{self.name} has no option {', '.join(unknown)}")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each group under its title."""
        params = [each for each in self.get_params(ctx) if isinstance(each, click.Option)]
        by_flag = {flag: each for each in params for flag in each.opts}
        sections = {
            title: [by_flag[flag] for flag in flags] for title, flags in self._groups.items()
        }
        grouped = [each for section in sections.values() for each in section]
        sections[_REST if grouped else "Options"] = [each for each in params if each not in grouped]
        for title, members in sections.items():
            records = [record for each in members if (record := each.get_help_record(ctx))]
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are, so that each can be copied."""
        super().format_epilog(ctx, formatter)
        if self.examples:
            formatter.write_paragraph()
            formatter.write("Examples:\n")
            for what, command in self.examples.items():
                formatter.write(f"  # {what}\n")
                for line in command.splitlines():
                    formatter.write(f"  {line}\n")
