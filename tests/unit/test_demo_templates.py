"""The templates of the simulated `docker --format`, against what Go's text/template gives."""

from __future__ import annotations

from typing import Any

import pytest

from vpai_tui.demo.engine.templates import Method, TemplateError, render

DATA: dict[str, Any] = {
    "Name": "/web",
    "State": {"Status": "running", "Health": None, "ExitCode": 0, "Running": True},
    "Config": {"Labels": {"a.b": "1", "c": "x y"}},
    "Tags": ["one:1", "two:2"],
    "Empty": [],
    "Label": Method(lambda key: {"k": "v"}.get(key, "")),
}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{.Name}}", "/web"),
        ("{{.State.Status}}\t{{.State.ExitCode}}", "running\t0"),
        ('{{index .Config.Labels "a.b"}}|{{index .Config.Labels "none"}}|', "1||"),
        ("{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}", "none"),
        ("{{if .Empty}}a{{else if .State.Running}}b{{else}}c{{end}}", "b"),
        (
            "{{json .State.Health}} {{json .Tags}} {{json .Config.Labels}}",
            'null ["one:1","two:2"] {"a.b":"1","c":"x y"}',
        ),
        ("{{range .Tags}}{{.}} {{end}}", "one:1 two:2 "),
        ("{{range .Empty}}x{{else}}nothing{{end}}", "nothing"),
        ("{{range $i, $t := .Tags}}{{$i}}={{$t}};{{end}}", "0=one:1;1=two:2;"),
        ("{{range $k, $v := .Config.Labels}}{{$k}}={{$v}},{{end}}", "a.b=1,c=x y,"),
        ("{{range .Tags}}{{.}}@{{$.Name}} {{end}}", "one:1@/web two:2@/web "),
        ("{{with .State}}{{.Status}}{{end}}", "running"),
        ('{{.Label "k"}}{{.Label "none"}}', "v"),
        ('{{"\\t"}}{{"a\\"b"}}', '\ta"b'),
        ('{{.Name | printf "%s!"}} {{printf "%5d|%q" 7 .Name}}', '/web!     7|"/web"'),
        ('{{if eq .State.Status "exited" "running"}}up{{end}}', "up"),
        ('{{if and .State.Running (ne .Name "/x")}}yes{{end}}', "yes"),
        ('{{join .Tags ","}} {{len .Tags}} {{upper "a"}}', "one:1,two:2 2 A"),
        ("a  {{- .State.ExitCode -}}  b", "a0b"),
        ("{{.State.Running}} {{.Tags}} {{.Config.Labels}}", "true [one:1 two:2] map[a.b:1 c:x y]"),
        ("{{/* nothing */}}x", "x"),
        ("no action", "no action"),
    ],
)
def test_renders_as_go_does(template: str, expected: str) -> None:
    assert render(template, DATA) == expected


@pytest.mark.parametrize(
    "template",
    [
        "{{.Nothing}}",
        "{{.State.Health.Status}}",
        "{{.Name",
        "{{if .Name}}x",
        "{{nofunction .Name}}",
        "{{end}}",
        "{{$x}}",
    ],
)
def test_refuses_what_go_refuses(template: str) -> None:
    with pytest.raises(TemplateError):
        render(template, DATA)
