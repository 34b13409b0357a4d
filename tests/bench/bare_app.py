"""The least a Textual program can show: one table. What a first frame costs anyway."""

from textual.app import App, ComposeResult
from textual.widgets import DataTable


class BareApp(App[None]):
    def compose(self) -> ComposeResult:
        table: DataTable[str] = DataTable()
        table.add_columns("host", "state")
        for name in ("sese", "seko", "pi"):
            table.add_row(name, "connecting")
        yield table


if __name__ == "__main__":
    BareApp().run()
