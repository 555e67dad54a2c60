// The API's description as a page: each operation with a form, the command for curl, and the answer.
// It asks this server only, and keeps nothing.

const base = new URL("../", document.baseURI);
const tell = (id) => document.getElementById(id);
let api;

/** An element with these properties and children. */
function el(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** Text in which `words` are code. */
function prose(text) {
  return (text ?? "").split("`").map((part, index) => (index % 2 ? el("code", { textContent: part }) : part));
}

/** What a reference stands for. */
function resolve(thing) {
  if (!thing?.$ref) return thing;
  const found = thing.$ref.split("/").slice(1).reduce((at, name) => at[name], api);
  const { $ref, ...rest } = thing;
  return { ...resolve(found), ...rest };
}

/** A schema's type, in a few words. */
function typeOf(schema) {
  const it = resolve(schema);
  if (it === true || !it) return "any";
  if (it.const !== undefined) return JSON.stringify(it.const);
  if (it.enum) return it.enum.map((value) => JSON.stringify(value)).join(" | ");
  const words = (it.oneOf ?? it.anyOf ?? []).map(typeOf).filter((word) => !["null", "any", ""].includes(word));
  if (words.length && !it.properties) return [...new Set(words)].join(" | ");
  const type = [it.type ?? "any"].flat().filter((word) => word !== "null").join(" | ");
  if (type === "array") return `[${typeOf(it.items)}, …]`;
  if (type === "object" && it.additionalProperties?.type) return `{name: ${typeOf(it.additionalProperties)}}`;
  return type;
}

/** A number's bounds and the default. */
function limits(schema) {
  const it = resolve(schema);
  const bound = (number) => (Math.abs(number) > Number.MAX_SAFE_INTEGER ? null : number.toLocaleString("en"));
  const [min, max] = [it.minimum, it.maximum].map((number) => (number === undefined ? null : bound(number)));
  const parts = [];
  if (min && max) parts.push(`${min} to ${max}`);
  else if (min) parts.push(`at least ${min}`);
  if (it.maxLength) parts.push(`at most ${it.maxLength} characters`);
  if (it.maxItems) parts.push(`at most ${it.maxItems.toLocaleString("en")} entries`);
  if (it.default !== undefined && it.default !== null) parts.push(`default ${JSON.stringify(it.default)}`);
  return parts.join("; ");
}

/** The objects within a schema, each with what leads to it, as in `records[]`. */
function objects(schema, place = "", depth = 0) {
  let it = resolve(schema);
  while (it?.type === "array") [it, place] = [resolve(it.items), `${place}[]`];
  if (!it?.properties || depth > 2) return [];
  const under = (name) => (place ? `${place}.${name}` : name);
  const deeper = Object.entries(it.properties).flatMap(([name, field]) => objects(field, under(name), depth + 1));
  return [[place, it], ...deeper];
}

function fieldsTables(title, schema) {
  return objects(schema).flatMap(([place, it]) => [
    el("h3", {}, title, place ? ": " : "", place ? el("code", { textContent: place }) : ""), fieldsTable(it)]);
}

function fieldsTable(it) {
  const row = ([name, field]) => {
    const needed = it.required?.includes(name) ? " *" : "";
    const about = resolve(field)?.description ?? "";
    return el("tr", {},
      el("td", { textContent: name + needed }),
      el("td", {}, typeOf(field), el("div", { className: "faint", textContent: limits(field) })),
      el("td", {}, ...prose(field.description ?? about)));
  };
  return el("div", { className: "scroll" }, el("table", {}, el("tbody", {}, ...Object.entries(it.properties).map(row))));
}

function parameterField(parameter, changed) {
  const id = `p${Math.random().toString(36).slice(2)}`;
  const input = el("input", { id, value: parameter.example ?? "", autocomplete: "off", oninput: changed });
  const hint = limits(parameter.schema);
  input.placeholder = parameter.schema.default ?? (parameter.required ? "needed" : "");
  const field = el("div", { className: "field" },
    el("label", { htmlFor: id, textContent: parameter.name + (parameter.required ? " *" : "") }),
    input,
    el("div", { className: "faint" }, ...prose(parameter.description), hint ? ` (${hint})` : ""));
  return { parameter, input, field };
}

function bodyField(body, changed) {
  const [mediaType, content] = Object.entries(body.content)[0];
  const examples = Object.values(content.examples ?? {});
  const text = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));
  const area = el("textarea", { value: examples.length ? text(examples[0].value) : "", spellcheck: false, oninput: changed });
  const fit = () => { area.rows = Math.min(20, Math.max(3, area.value.split("\n").length)); };
  fit();
  area.setAttribute("aria-label", "Body");
  const choice = el("select", {}, ...examples.map((example, index) => el("option", { value: index, textContent: example.summary })));
  choice.setAttribute("aria-label", "Example");
  choice.onchange = () => { area.value = text(examples[choice.value].value); fit(); changed(); };
  const title = body.required ? "Body" : "Body (may be left out)";
  const field = el("div", {},
    el("h3", { textContent: title }),
    examples.length > 1 ? el("div", { className: "row" }, choice) : null,
    area);
  return { area, mediaType, field, fields: fieldsTables("Fields of the body", content.schema) };
}

/** The request that a form stands for. */
function requestOf(method, path, parameters, body) {
  const url = new URL(base);
  const headers = {};
  let filled = path;
  for (const { parameter, input } of parameters) {
    const value = input.value.trim();
    if (parameter.in === "path") filled = filled.replace(`{${parameter.name}}`, encodeURIComponent(value || parameter.name));
    else if (value === "") continue;
    else if (parameter.in === "query") url.searchParams.append(parameter.name, value);
    else headers[parameter.name] = value;
  }
  url.pathname = url.pathname.replace(/\/$/, "") + filled;
  // On one line, as the command has it: a value is stored as it is written.
  const text = body?.area.value.trim().replace(/,\n\s*/g, ", ").replace(/\n\s*/g, "");
  if (text && body.mediaType !== "application/json") headers["Content-Type"] = body.mediaType;
  if (tell("key").value) headers.Authorization = `Bearer ${tell("key").value}`;
  return { method: method.toUpperCase(), url, headers, body: text || undefined };
}

function curl({ method, url, headers, body }, streams) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const words = ["curl"];
  if (streams) words.push("-N");
  if (method !== (body ? "POST" : "GET")) words.push("-X", method);
  words.push(/[^\w:/.-]/.test(url.href) ? quoted(url.href) : url.href);
  for (const [name, value] of Object.entries(headers)) {
    words.push("-H", quoted(name === "Authorization" ? `${name}: Bearer $KEY` : `${name}: ${value}`));
  }
  if (body) words.push("-d", quoted(body));
  return words.join(" ").replace(/'Authorization: Bearer \$KEY'/, '"Authorization: Bearer $KEY"');
}

/** Sends the request and shows what comes, as it comes. */
async function send(request, out, stop) {
  const status = el("p", { textContent: "Waiting for the answer…" });
  const text = el("pre", { hidden: true });
  const headers = el("pre", { hidden: true });
  out.replaceChildren(status, headers, text);
  const began = performance.now();
  try {
    const { method, body, signal } = { ...request, signal: stop.signal };
    const answer = await fetch(request.url, { method, headers: request.headers, body, signal, cache: "no-store" });
    const took = Math.round(performance.now() - began);
    const word = el("span", { className: answer.ok ? "good" : "bad", textContent: `${answer.status} ${answer.statusText}` });
    status.replaceChildren(word, ` in ${took} ms`);
    headers.hidden = false;
    headers.textContent = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    await show(answer, text);
  } catch (error) {
    const stopped = error.name === "AbortError";
    status.append(el("span", { className: "bad", textContent: stopped ? " Stopped." : ` No answer: ${error.message}` }));
  }
}

async function show(answer, text) {
  const MOST = 200_000;
  const decoder = new TextDecoder();
  let whole = "";
  for (const reader = answer.body.getReader(); ;) {
    const { value, done } = await reader.read();
    if (done) break;
    whole = (whole + decoder.decode(value, { stream: true })).slice(-MOST);
    text.hidden = false;
    text.textContent = whole;
  }
  if (answer.headers.get("content-type")?.startsWith("application/json")) {
    try { text.textContent = JSON.stringify(JSON.parse(whole), null, 2); } catch { /* It stays as it came. */ }
  }
  text.hidden = whole === "";
}

function answers(responses) {
  const row = ([status, response]) => {
    const it = resolve(response);
    const content = Object.entries(it.content ?? {})[0];
    return el("tr", {}, el("td", { textContent: status }), el("td", {}, ...prose(it.description),
      content && status < "300" ? el("div", { className: "faint", textContent: content[0] }) : null));
  };
  const good = Object.entries(responses).find(([status]) => status < "300");
  const schema = Object.values(resolve(good?.[1])?.content ?? {})[0]?.schema;
  return [
    el("h3", { textContent: "Answers" }),
    el("div", { className: "scroll" }, el("table", {}, el("tbody", {}, ...Object.entries(responses).map(row)))),
    ...fieldsTables("Fields of the answer", schema),
  ];
}

/** What unfolds beneath an operation. */
function inside(method, path, operation) {
  const streams = Object.values(operation.responses).some((response) => resolve(response).content?.["text/event-stream"]);
  const command = el("pre");
  const changed = () => { command.textContent = curl(requestOf(method, path, parameters, body), streams); };
  const parameters = (operation.parameters ?? []).map((parameter) => parameterField(resolve(parameter), changed));
  const body = operation.requestBody ? bodyField(resolve(operation.requestBody), changed) : null;
  const out = el("div");
  const button = el("button", { className: "send", textContent: "Send" });
  const halt = el("button", { textContent: "Stop", hidden: true });
  const copy = el("button", { textContent: "Copy" });
  copy.onclick = async () => {
    await navigator.clipboard?.writeText(command.textContent);
    copy.textContent = "Copied";
    setTimeout(() => { copy.textContent = "Copy"; }, 1_000);
  };
  button.onclick = async () => {
    const stop = new AbortController();
    halt.onclick = () => stop.abort();
    [button.disabled, halt.hidden] = [true, false];
    await send(requestOf(method, path, parameters, body), out, stop);
    [button.disabled, halt.hidden] = [false, true];
  };
  tell("key").addEventListener("input", changed);
  changed();
  return el("div", { className: "inside" },
    operation.description ? el("p", {}, ...prose(operation.description)) : null,
    ...parameters.map((parameter) => parameter.field), body?.field ?? null,
    el("h3", { textContent: "Command" }), command,
    el("div", { className: "row" }, button, halt, copy), out, ...(body?.fields ?? []), ...answers(operation.responses));
}

function operationOf(method, path, operation) {
  const summary = el("summary", {},
    el("span", { className: `method ${method}`, textContent: method.toUpperCase() }),
    el("span", { className: "path", textContent: path }),
    el("span", { className: "short", textContent: operation.summary }));
  const whole = el("details", { className: "operation", id: operation.operationId }, summary);
  whole.dataset.words = `${method} ${path} ${operation.summary} ${operation.operationId}`.toLowerCase();
  whole.addEventListener("toggle", () => {
    if (whole.open && whole.children.length === 1) whole.append(inside(method, path, operation));
  });
  return whole;
}

function search() {
  const words = tell("search").value.toLowerCase().split(/\s+/);
  for (const section of document.querySelectorAll("section")) {
    for (const it of section.querySelectorAll("details")) it.hidden = !words.every((word) => it.dataset.words.includes(word));
    section.hidden = section.querySelectorAll("details:not([hidden])").length === 0;
  }
}

function open() {
  const named = location.hash && document.getElementById(location.hash.slice(1));
  if (named) { named.open = true; named.scrollIntoView(); }
}

async function start() {
  const answer = await fetch(new URL("openapi.json", base));
  api = await answer.json();
  if (!answer.ok) throw new Error(api.error);
  tell("version").textContent = api.info.version;
  tell("about").replaceChildren(...prose(api.info.description.split("\n\n")[0]));
  tell("key-field").hidden = !api.components.securitySchemes;
  const all = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method, path, operation })));
  tell("operations").append(...api.tags.map((tag) => el("section", {},
    el("h2", { textContent: tag.name }), el("p", {}, ...prose(tag.description)),
    ...all.filter(({ operation }) => operation.tags.includes(tag.name))
      .map(({ method, path, operation }) => operationOf(method, path, operation)))));
  tell("search").oninput = search;
  addEventListener("hashchange", open);
  open();
}

start().catch((error) => { tell("about").textContent = `The description could not be loaded: ${error.message}`; });
