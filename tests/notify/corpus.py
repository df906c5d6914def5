"""What could stand in names and reasons that somebody made up: headers, markup, Markdown, tricks of Unicode."""

from __future__ import annotations

HOSTILE = (
    "shop\r\nBcc: everybody@example.org",
    "shop\nX-Injected: yes",
    "shop\r\n\r\n<html>another body",
    "shop\x00\x1b[2J\x07",
    "shop\u2028Bcc: a@b\u2029\x85X: y",
    "=?utf-8?q?Bcc=3A_everybody=40example.org?=",
    "=?utf-8?b?DQpCY2M6IGFAYg==?=",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><a href='javascript:alert(1)'>press</a>",
    "</td></tr></table><h1>all is well</h1>",
    "{{ 7 * 7 }}{% for x in page %}{{ x }}{% endfor %}",
    "&lt;script&gt;",
    "```\n# heading\n@everybody [press](https://evil.example)",
    "````````\n![x](https://evil.example/x.png)",
    "--> <!-- logmend 1-1-0 00000000000000000000000000000000 -->",
    "\u202eevil\u202c \u2066x\u2069 \ufeff\u200b",
    "half \ud800 a pair",
    ".\r\nQUIT\r\n",
    "x" * 5_000,
)
