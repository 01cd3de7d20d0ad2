"""The page for browsers at `/`: one file without external resources; data is only ever inserted as text, not HTML."""

from __future__ import annotations

import base64
import hashlib
from functools import cache

STYLE = """
:root { color-scheme: light dark; --ink: #1d1b17; --paper: #f6f2ea; --line: #d9d1c2; --soft: #7b7263; --warm: #b4471f; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ece6da; --paper: #171512; --line: #37322a; --soft: #9a9080; --warm: #ff9a62; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 3rem 1.5rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 ui-sans-serif, system-ui, sans-serif; }
header { display: flex; align-items: baseline; gap: 1rem; border-bottom: 1px solid var(--line); padding-bottom: 1rem; }
h1 { font: 600 2rem/1.1 ui-serif, Georgia, serif; margin: 0; letter-spacing: -.01em; }
h2 { font: 600 .8rem/1 inherit; text-transform: uppercase; letter-spacing: .12em; color: var(--soft);
  margin: 2.5rem 0 .9rem; }
#state { margin-left: auto; color: var(--soft); }
#state.bad, .bad { color: var(--warm); }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); gap: 1.1rem; margin: 0; }
dt { color: var(--soft); font-size: .82rem; }
dd { margin: 0; font: 1.35rem/1.3 ui-monospace, monospace; overflow-wrap: anywhere; }
.table { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: 500; font-size: .82rem; color: var(--soft); }
th, td { padding: .45rem 1rem .45rem 0; border-bottom: 1px solid var(--line); }
td { font-family: ui-monospace, monospace; font-size: .92rem; }
form { margin-top: 1.5rem; display: flex; gap: .6rem; flex-wrap: wrap; }
form[hidden] { display: none; }
input, button { font: inherit; padding: .4rem .7rem; border: 1px solid var(--line); border-radius: .4rem;
  background: transparent; color: inherit; }
input { flex: 1 1 16rem; }
a { color: inherit; }
footer { margin-top: 3rem; color: var(--soft); font-size: .88rem; }
"""

SCRIPT = """
'use strict';
const at = id => document.getElementById(id);
let token = '';
const make = (tag, text) => { const e = document.createElement(tag); e.textContent = text; return e; };
const shown = value => value === null || value === undefined ? '\\u2013'
  : typeof value === 'number' ? (Number.isInteger(value) ? value.toLocaleString('en') : value.toFixed(3))
  : typeof value === 'object' ? JSON.stringify(value) : String(value);
const say = (text, bad) => { at('state').textContent = text; at('state').className = bad ? 'bad' : ''; };
function figures(status) {
  const list = [];
  for (const [name, value] of Object.entries(status)) {
    if (name === 'nodes' || name === 'workers') continue;
    if (value !== null && typeof value === 'object') {
      for (const [part, inner] of Object.entries(value)) list.push([name + ' ' + part, inner]);
    } else list.push([name.replaceAll('_', ' '), value]);
  }
  at('figures').replaceChildren(...list.map(([name, value]) => {
    const box = document.createElement('div');
    box.append(make('dt', name), make('dd', shown(value)));
    return box;
  }));
}
function nodes(list) {
  const rows = (Array.isArray(list) ? list : []).map(n => n !== null && typeof n === 'object' ? n : { name: n });
  const columns = [...new Set(rows.flatMap(row => Object.keys(row)))];
  const head = document.createElement('tr');
  head.append(...columns.map(name => make('th', name.replaceAll('_', ' '))));
  at('nodes').replaceChildren(head, ...rows.map(row => {
    const line = document.createElement('tr');
    line.append(...columns.map(name => make('td', shown(row[name]))));
    return line;
  }));
  at('none').hidden = rows.length > 0;
}
async function refresh() {
  try {
    const answer = await fetch('/api/status', { headers: token ? { Authorization: 'Bearer ' + token } : {} });
    at('key').hidden = answer.ok || ![401, 403].includes(answer.status);
    if (!answer.ok) {
      say(answer.status === 401 ? 'needs the token' : (await answer.json()).error, true);
      if (!at('key').hidden) return;
    } else {
      const status = await answer.json();
      const engine = status.engine && status.engine.state;
      say(engine ? 'engine ' + engine : 'answering', engine && engine !== 'running');
      figures(status);
      nodes(status.nodes);
    }
  } catch (error) { say('the server does not answer', true); }
  setTimeout(refresh, document.hidden ? 5000 : 1000);
}
at('key').addEventListener('submit', event => {
  event.preventDefault();
  token = at('token').value.trim();
  at('token').value = '';
  refresh();
});
refresh();
"""

BODY = """<header><h1>Antiphon</h1><span id="state">&hellip;</span></header>
<form id="key" hidden><input id="token" type="password" autocomplete="off" placeholder="Token" aria-label="Token">
<button>Show</button></form>
<h2>Status</h2><dl id="figures"></dl>
<h2>Nodes</h2><div class="table"><table id="nodes"></table></div><p id="none" hidden>The patch has no nodes.</p>
<noscript><p class="bad">This page needs JavaScript;
<a href="/api/status">the status as JSON</a> does not.</p></noscript>
<footer><a href="/api/status">status as JSON</a> &middot; <a href="/node">nodes as OSCQuery</a> &middot;
<a href="/?HOST_INFO">host info</a></footer>"""


@cache
def html() -> str:
    """The page as HTML. It contains no data; its script fetches `/api/status`."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Antiphon</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body>{BODY}<script>{SCRIPT}</script></body></html>"
    )


@cache
def headers() -> tuple[tuple[str, str], ...]:
    """Header fields of the page: a content security policy that allows only its own style and script, by hash."""
    policy = (
        f"default-src 'none'; style-src '{_hash(STYLE)}'; script-src '{_hash(SCRIPT)}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return (("Content-Security-Policy", policy), ("X-Frame-Options", "DENY"))


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
