// The inspector's page. Every value of a hit is hostile: it reaches the document as text (textContent), never as markup.
"use strict";

const $ = (id) => document.getElementById(id);
const PAGE = 250;

const state = {
  hits: [],          // newest first
  waiting: [],       // arrived while paused, newest first
  most: 10000,
  provider: "",
  kind: "",
  text: "",
  only: false,
  paused: false,
  chosen: null,      // an id
  raw: null,         // the whole hit that is shown
  pretty: true,
  limit: PAGE,
};

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined && text !== null) node.textContent = text;
  return node;
}

const HUES = {matomo: 215, ga4: 30, googleanalytics: 8, plausible: 250, snowplow: 282, umami: 150, file: 190, stdout: 60};

function hue(name) {
  if (Object.hasOwn(HUES, name)) return HUES[name];
  let sum = 7;
  for (const letter of name) sum = (sum * 31 + letter.codePointAt(0)) % 997;
  return (sum * 137) % 360;
}

function tinted(node, name) {
  node.style.setProperty("--hue", String(hue(name)));  // through the CSSOM, which the page's policy allows
  return node;
}

function clock(stamp) {
  const date = new Date(stamp);
  if (Number.isNaN(date.getTime())) return "";
  const two = (n) => String(n).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

function shown(value) {
  return typeof value === "string" ? value : value === null || value === undefined ? "" : JSON.stringify(value, null, 2);
}

function headline(hit) {
  return hit.name || hit.title || hit.url || (hit.kind === "unknown" ? "A request nobody understands" : hit.kind);
}

function plural(n, one, many) {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}

// -- filters ---------------------------------------------------------------------------------------------------------

function searchable(hit) {
  if (hit.search === undefined) hit.search = JSON.stringify(hit).toLowerCase();
  return hit.search;
}

function matches(hit) {
  return (!state.provider || hit.provider === state.provider)
    && (!state.kind || hit.kind === state.kind)
    && (!state.only || hit.findings.length > 0)
    && (!state.text || searchable(hit).includes(state.text));
}

function filtered() {
  return state.hits.filter(matches);
}

// -- the list --------------------------------------------------------------------------------------------------------

function row(hit, fresh) {
  const item = element("li", fresh ? "hit new" : "hit");
  item.id = `hit-${hit.id}`;
  item.dataset.id = String(hit.id);
  item.setAttribute("role", "option");
  item.setAttribute("aria-selected", String(hit.id === state.chosen));
  if (hit.outcome === "refused" || hit.outcome === "hung") item.classList.add("off");
  const meta = element("span", "meta");
  meta.append(tinted(element("span", "tag", hit.provider), hit.provider), element("span", "kind", hit.kind));
  if (hit.findings.length) meta.append(element("span", "badge warn", plural(hit.findings.length, "finding", "findings")));
  if (hit.outcome === "refused") meta.append(element("span", "badge bad", `answered ${hit.status}`));
  if (hit.outcome === "hung") meta.append(element("span", "badge bad", "left hanging"));
  if (hit.outcome === "shown") meta.append(element("span", "badge plain", "not sent"));
  const time = element("time", "", clock(hit.time));
  time.dateTime = hit.time;
  item.append(meta, time, element("span", "name", headline(hit)));
  if (hit.url && hit.url !== headline(hit)) item.append(element("span", "where", hit.url));
  return item;
}

function chips() {
  const counts = new Map();
  for (const hit of state.hits) counts.set(hit.provider, (counts.get(hit.provider) || 0) + 1);
  if (state.provider && !counts.has(state.provider)) counts.set(state.provider, 0);
  const box = $("providers");
  const names = ["", ...[...counts.keys()].sort()];
  const focused = box.contains(document.activeElement) ? document.activeElement.dataset.provider : undefined;
  const wanted = names.length > 1 ? names : [];
  if (JSON.stringify([...box.children].map((b) => b.dataset.provider)) !== JSON.stringify(wanted)) {
    box.replaceChildren(...wanted.map((name) => {
      const button = element("button");
      button.type = "button";
      button.dataset.provider = name;
      if (name) button.append(tinted(element("span", "swatch"), name));
      button.append(element("span", "", name || "All"), element("span", "n"));
      button.addEventListener("click", () => { state.provider = name; state.limit = PAGE; render(); });
      return button;
    }));
    if (focused !== undefined) [...box.children].find((b) => b.dataset.provider === focused)?.focus();
  }
  for (const button of box.children) {
    const name = button.dataset.provider;
    button.setAttribute("aria-pressed", String(name === state.provider));
    button.querySelector(".n").textContent = String(name ? counts.get(name) : state.hits.length);
  }
}

function kinds() {
  const select = $("kind");
  const known = new Set([...select.options].map((option) => option.value));
  for (const hit of state.hits) {
    if (!known.has(hit.kind)) {
      known.add(hit.kind);
      const option = element("option", "", hit.kind);
      option.value = hit.kind;
      select.append(option);
    }
  }
}

function href() {
  const query = new URLSearchParams({download: "1", refused: "1"});  // what is on the page is in the file
  if (state.provider) query.set("provider", state.provider);
  if (state.kind) query.set("kind", state.kind);
  if (state.text) query.set("q", state.text);
  if (state.only) query.set("findings", "1");
  $("download").setAttribute("href", `/hits.ndjson?${query}`);
}

let drawn = new Map();  // id -> row, of what stands in the list

function render() {
  const found = filtered();
  const visible = found.slice(0, state.limit);
  const list = $("list");
  if (state.chosen === null && visible.length && !phone()) choose(visible[0].id, {quiet: true});
  const first = drawn.size === 0;
  const next = new Map();
  for (const hit of visible) next.set(hit.id, drawn.get(hit.id) || row(hit, !first));
  for (const [id, node] of drawn) if (!next.has(id)) node.remove();
  let before = list.firstElementChild;
  for (const node of next.values()) {
    if (node === before) before = before.nextElementSibling;
    else list.insertBefore(node, before);
  }
  drawn = next;
  mark();
  chips();
  kinds();
  href();
  const filters = Boolean(state.provider || state.kind || state.text || state.only);
  const issues = state.hits.reduce((sum, hit) => sum + (hit.findings.length ? 1 : 0), 0);
  $("empty").hidden = state.hits.length > 0;
  $("nothing").hidden = !(state.hits.length && !found.length);
  $("more").hidden = found.length <= visible.length;
  const kept = filters ? `${found.length.toLocaleString("en")} of ${plural(state.hits.length, "hit", "hits")}` : plural(state.hits.length, "hit", "hits");
  $("count").textContent = state.hits.length ? `${kept}${issues ? `, ${issues} with findings` : ""}` : "";
  announce($("count").textContent);
}

let announcing = 0;
function announce(text) {
  clearTimeout(announcing);
  announcing = setTimeout(() => { $("announce").textContent = text; }, 1200);
}

function mark() {
  for (const [id, node] of drawn) node.setAttribute("aria-selected", String(id === state.chosen));
  const here = drawn.get(state.chosen);
  if (here) $("list").setAttribute("aria-activedescendant", here.id);
  else $("list").removeAttribute("aria-activedescendant");
}

// -- one hit ---------------------------------------------------------------------------------------------------------

function rows(target, data) {
  target.replaceChildren();
  for (const [name, value] of Object.entries(data || {})) {
    target.append(element("dt", "", name), element("dd", "", shown(value)));
  }
}

async function choose(id, {quiet = false} = {}) {
  const hit = state.hits.find((one) => one.id === id);
  if (!hit) return;
  const same = state.chosen === id;
  state.chosen = id;
  mark();
  if (!quiet) drawn.get(id)?.scrollIntoView({block: "nearest"});
  if (same && state.raw) return;
  $("none").hidden = true;
  $("shown").hidden = false;
  $("d-eyebrow").replaceChildren(tinted(element("span", "tag", hit.provider), hit.provider), element("span", "", hit.kind), element("span", "", clock(hit.time)));
  $("d-title").textContent = headline(hit);
  $("d-url").textContent = hit.url && hit.url !== headline(hit) ? hit.url : "";
  const outcome = {
    refused: `Answered ${hit.status} on purpose: the platform would not have recorded it, and the sender should try again.`,
    hung: "Left without an answer on purpose: the sender should give up in time and try again.",
    shown: "Not sent: this is what would leave.",
  }[hit.outcome];
  $("d-outcome").hidden = !outcome;
  $("d-outcome").textContent = outcome || "";
  $("d-outcome").classList.toggle("plain", hit.outcome === "shown");
  $("d-findings-section").hidden = !hit.findings.length;
  $("d-findings").replaceChildren(...hit.findings.map((finding) => element("li", "", finding)));
  rows($("d-fields"), hit.fields);
  rows($("d-native"), hit.native);
  $("d-native-section").hidden = !Object.keys(hit.native || {}).length;
  const receipts = hit.receipts || [];
  $("d-receipts-section").hidden = !receipts.length;
  $("d-receipts").tBodies[0].replaceChildren(...receipts.map((receipt) => {
    const line = element("tr");
    for (const name of ["datum", "came in", "rule", "outcome"]) line.append(element("td", "", shown(receipt[name])));
    return line;
  }));
  state.raw = null;
  for (const name of ["d-method", "d-path", "d-body", "d-headers-count"]) $(name).textContent = "";
  $("d-headers").replaceChildren();
  if (!quiet) $("detail").scrollTop = 0;
  try {
    const answer = await fetch(`/hits/${id}.json`);
    if (state.chosen !== id) return;
    if (!answer.ok) { $("d-body").textContent = "This hit is no longer kept."; return; }
    state.raw = (await answer.json()).raw;
  } catch {
    if (state.chosen === id) $("d-body").textContent = "The inspector does not answer.";
    return;
  }
  if (state.chosen === id) request();
}

function readable(raw) {
  const text = raw.body;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch { /* not JSON: a form, or plain text */ }
  if (/^[\w.%+~*$[\]-]+=[^\n]*$/.test(text) && text.length < 100000) {
    return [...new URLSearchParams(text)].map(([name, value]) => `${name} = ${value}`).join("\n");
  }
  return text;
}

function request() {
  const raw = state.raw;
  if (!raw) return;
  $("d-method").textContent = raw.method;
  $("d-path").textContent = raw.path;
  rows($("d-headers"), raw.headers);
  $("d-headers-count").textContent = `(${Object.keys(raw.headers).length})`;
  const query = raw.body ? "" : raw.path.split("?").slice(1).join("?");
  $("d-body").textContent = state.pretty ? (query ? readable({body: query}) : readable(raw)) : raw.body;
  $("pretty").setAttribute("aria-pressed", String(state.pretty));
  $("exact").setAttribute("aria-pressed", String(!state.pretty));
}

// -- moving ----------------------------------------------------------------------------------------------------------

function phone() {
  return matchMedia("(max-width: 860px)").matches;
}

let scrolled = 0;
function read() {
  if (state.chosen === null) return;
  if (phone() && !document.body.classList.contains("reading")) {
    scrolled = scrollY;
    document.body.classList.add("reading");
    scrollTo(0, 0);
  }
  $("detail").focus({preventScroll: true});
}

function leave() {
  if (document.body.classList.contains("reading")) {
    document.body.classList.remove("reading");
    scrollTo(0, scrolled);
  }
  $("list").focus({preventScroll: true});
}

function step(by) {
  const ids = [...drawn.keys()];
  if (!ids.length) return;
  const at = ids.indexOf(state.chosen);
  choose(ids[at < 0 ? 0 : Math.min(ids.length - 1, Math.max(0, at + by))]);
}

// -- actions ---------------------------------------------------------------------------------------------------------

function pause(on) {
  state.paused = on;
  if (!on && state.waiting.length) {
    state.hits = [...state.waiting, ...state.hits].slice(0, state.most);
    state.waiting = [];
    schedule();
  }
  status();
}

function status(connection) {
  if (connection) state.connection = connection;
  const waiting = state.waiting.length;
  const button = $("pause");
  button.textContent = state.paused ? (waiting ? `Go on (${waiting})` : "Go on") : "Pause";
  button.setAttribute("aria-pressed", String(state.paused));
  const now = state.connection === "live" && state.paused ? "paused" : state.connection;
  $("state").dataset.state = now;
  $("state-text").textContent = {live: "live", paused: "paused", lost: "no connection, trying again", connecting: "connecting"}[now];
}

async function clear() {
  try {
    await fetch("/clear", {method: "POST"});
  } catch {
    status("lost");
  }
}

function filter(change) {
  Object.assign(state, change);
  state.limit = PAGE;
  $("only").setAttribute("aria-pressed", String(state.only));
  render();
}

async function copy(button, text) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Select and copy by hand";
  }
  setTimeout(() => { button.textContent = label; }, 1500);
}

$("endpoint").textContent = location.origin;
$("sample").textContent = `import analytical\n\nsite = analytical.Provider(\n    "matomo", 1, endpoint="${location.origin}"\n)\nsite.pageview(url="https://example.com/", title="Home")`;
$("copy-endpoint").addEventListener("click", (event) => copy(event.currentTarget, location.origin));
$("copy-raw").addEventListener("click", (event) => {
  const raw = state.raw;
  if (!raw) return;
  const headers = Object.entries(raw.headers).map(([name, value]) => `${name}: ${value}`).join("\n");
  copy(event.currentTarget, `${raw.method} ${raw.path}\n${headers}\n\n${raw.body}`);
});
$("text").addEventListener("input", (event) => filter({text: event.currentTarget.value.trim().toLowerCase()}));
$("kind").addEventListener("change", (event) => filter({kind: event.currentTarget.value}));
$("only").addEventListener("click", () => filter({only: !state.only}));
$("reset-filters").addEventListener("click", () => {
  $("text").value = "";
  $("kind").value = "";
  filter({provider: "", kind: "", text: "", only: false});
});
$("more").addEventListener("click", () => { state.limit += PAGE; render(); });
$("pause").addEventListener("click", () => pause(!state.paused));
$("clear").addEventListener("click", clear);
$("back").addEventListener("click", leave);
$("help-button").addEventListener("click", () => $("help").showModal());
$("pretty").addEventListener("click", () => { state.pretty = true; request(); });
$("exact").addEventListener("click", () => { state.pretty = false; request(); });
$("list").addEventListener("click", (event) => {
  const item = event.target.closest("li.hit");
  if (!item) return;
  choose(Number(item.dataset.id));
  if (phone()) read();
});
$("list").addEventListener("keydown", (event) => {
  const moves = {ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity};
  if (event.key in moves && !event.altKey && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    step(moves[event.key]);
  } else if (event.key === "Enter") {
    event.preventDefault();
    if (state.chosen === null) step(1);
    read();
  }
});

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || $("help").open) return;
  const typing = event.target.matches("input, select, textarea");
  if (event.key === "Escape") {
    if (event.target === $("text") && $("text").value) { $("text").value = ""; filter({text: ""}); }
    else leave();
    return;
  }
  if (typing) return;
  const actions = {
    j: () => step(1),
    k: () => step(-1),
    "/": () => $("text").focus(),
    f: () => filter({only: !state.only}),
    p: () => pause(!state.paused),
    x: clear,
    d: () => $("download").click(),
    "?": () => $("help").showModal(),
  };
  const action = actions[event.key];
  if (action) {
    event.preventDefault();
    action();
  }
});

// -- the stream ------------------------------------------------------------------------------------------------------

let planned = false;
function schedule() {
  if (planned) return;
  planned = true;
  // A hidden tab draws no frames; a timer still runs there, slowly.
  setTimeout(() => { planned = false; render(); }, document.hidden ? 500 : 60);
}

function listen() {
  const source = new EventSource("/events");
  source.addEventListener("open", () => status("live"));
  source.addEventListener("error", () => {
    status("lost");
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  });
  source.addEventListener("reset", (event) => {
    const hello = JSON.parse(event.data);
    Object.assign(state, {hits: [], waiting: [], chosen: null, raw: null, limit: PAGE, most: hello.max_hits});
    $("faults").hidden = !hello.faults;
    $("faults").textContent = hello.faults;
    $("none").hidden = false;
    $("shown").hidden = true;
    $("kind").replaceChildren($("kind").options[0]);
    state.kind = "";
    document.body.classList.remove("reading");
    status("live");
    schedule();
  });
  source.addEventListener("message", (event) => {
    const arrived = JSON.parse(event.data).reverse();
    if (state.paused) {
      state.waiting = [...arrived, ...state.waiting].slice(0, state.most);
      status();
    } else {
      state.hits = [...arrived, ...state.hits].slice(0, state.most);
      schedule();
    }
  });
}

status("connecting");
listen();
