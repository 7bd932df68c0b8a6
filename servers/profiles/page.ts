/** The OpenAPI document as a page that needs nothing but this server. */
export const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Headwater profiles</title>
<style>
  :root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
  body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
  details { border: 1px solid #8886; border-radius: 6px; margin: .6rem 0; padding: .4rem .8rem; }
  summary { cursor: pointer; }
  code, pre, input, textarea { font: 13px/1.4 ui-monospace, monospace; }
  pre { overflow: auto; max-height: 28rem; background: #8882; padding: .6rem; border-radius: 6px; }
  table { border-collapse: collapse; width: 100%; }
  td, th { text-align: left; padding: .15rem .5rem .15rem 0; vertical-align: top; }
  input, textarea { width: 100%; box-sizing: border-box; }
  .get { color: #07a; } .post { color: #080; } .patch { color: #a50; }
  b.verb { display: inline-block; width: 4rem; text-transform: uppercase; }
</style>
<h1>Headwater profiles</h1>
<p id="about"></p>
<p><label>API key, kept in this page only <input id="key" type="password" autocomplete="off" placeholder="hw_…"></label></p>
<div id="paths"></div>
<h2>Shapes</h2>
<div id="shapes"></div>
<script src="/docs/page.js"></script>
</html>
`;

/** Values of the document reach the page as text, never as HTML. */
export const SCRIPT = `'use strict';
const make = (name, text, ...inside) => {
  const node = document.createElement(name);
  if (text !== null) node.textContent = text;
  node.append(...inside);
  return node;
};
const row = (...cells) => make('tr', null, ...cells.map((cell) => cell instanceof Node ? make('td', null, cell) : make('td', cell)));
const json = (value) => make('pre', JSON.stringify(value, null, 2));

function tryIt(path, verb, operation) {
  const inputs = new Map();
  const table = make('table', null);
  for (const one of operation.parameters ?? []) {
    const input = make('input', null);
    inputs.set(one, input);
    table.append(row(one.name + (one.required ? ' *' : ''), one.in, one.description, input));
  }
  const body = operation.requestBody ? make('textarea', '{}') : null;
  if (body) { body.rows = 4; table.append(row('body', '', '', body)); }
  const send = make('button', 'Send');
  const answer = make('pre', '');
  answer.hidden = true;
  send.onclick = async () => {
    let url = path;
    const query = new URLSearchParams();
    const headers = {};
    for (const [one, input] of inputs) {
      if (one.in === 'path') url = url.replace('{' + one.name + '}', encodeURIComponent(input.value));
      else if (input.value === '') continue;
      else if (one.in === 'query') query.set(one.name, input.value);
      else headers[one.name] = input.value;
    }
    const key = document.getElementById('key').value;
    if (key) headers.authorization = 'Bearer ' + key;
    if (body) headers['content-type'] = 'application/json';
    const text = query.toString();
    answer.hidden = false;
    try {
      const response = await fetch(url + (text ? '?' + text : ''), { method: verb.toUpperCase(), headers, redirect: 'follow', body: body ? body.value : undefined });
      const said = await response.text();
      let shown = said;
      try { shown = JSON.stringify(JSON.parse(said), null, 2); } catch {}
      answer.textContent = response.status + ' ' + response.statusText + '\\n' + shown;
    } catch (error) {
      answer.textContent = String(error);
    }
  };
  return [table, make('p', null, send), answer];
}

fetch('/v1/openapi.json').then((response) => response.json()).then((api) => {
  document.getElementById('about').textContent = api.info.description;
  for (const [path, verbs] of Object.entries(api.paths)) {
    for (const [verb, operation] of Object.entries(verbs)) {
      const name = make('b', verb);
      name.className = 'verb ' + verb;
      const statuses = make('table', null);
      for (const [status, told] of Object.entries(operation.responses)) statuses.append(row(status, told.description));
      const inside = [...tryIt(path, verb, operation), statuses];
      if (operation.requestBody) inside.push(make('p', 'Body'), json(operation.requestBody.content['application/json'].schema));
      document.getElementById('paths').append(make('details', null, make('summary', null, name, make('code', path), ' ' + operation.summary), ...inside));
    }
  }
  for (const [name, schema] of Object.entries(api.components.schemas)) {
    document.getElementById('shapes').append(make('details', null, make('summary', name), json(schema)));
  }
});
`;
