// What pages do beyond being read: they follow changes, tell times from now on, ask before acting, copy ids, obey keys.
// Every page is whole without this file. Nothing here makes HTML of a string: what changes comes rendered by the server.
"use strict";

const KEYS_OFF = "logmend-keys-off";
const SILENCE_MS_MAX = 30_000;
const body = document.body;
const pauseMs = Number(body.dataset.pause);
const followed = new Set(["halt", "escalations", "approvals", ...(body.dataset.parts || "").split(" ")]);
let serverAheadMs = Number(body.dataset.now) - Date.now();

// -- times ----------------------------------------------------------------------------------------------------------
const UNITS = [[86_400, "d"], [3_600, "h"], [60, "min"], [1, "s"]];

function spoken(seconds) {
  const first = UNITS.findIndex(([size]) => seconds >= size);
  if (first < 0) return "0 s";
  const [size, name] = UNITS[first];
  const whole = Math.floor(seconds / size);
  const next = UNITS[first + 1];
  const rest = next && size < 86_400 * 2 && whole < 10 && size > 60 ? Math.floor((seconds % size) / next[0]) : 0;
  return rest ? `${whole} ${name} ${rest} ${next[1]}` : `${whole} ${name}`;
}

function countdown(seconds) {
  if (seconds <= 0) return "now";
  const minutes = Math.floor(seconds / 60);
  return minutes >= 60 ? `in ${spoken(seconds)}` : `in ${minutes}:${String(Math.floor(seconds % 60)).padStart(2, "0")} min`;
}

function tellTimes(root = document) {
  const now = Date.now() + serverAheadMs;
  for (const one of root.querySelectorAll("time[data-tell]")) {
    const seconds = (now - Date.parse(one.dateTime)) / 1000;
    let text = spoken(Math.max(0, seconds));
    if (one.dataset.tell === "ago") text = seconds < 1 ? "just now" : `${text} ago`;
    if (one.dataset.tell === "in") text = countdown(-seconds);
    if (one.textContent !== text) one.textContent = text;
  }
}

// -- following changes ----------------------------------------------------------------------------------------------
const OURS = new Set(["open", "data-sent", "aria-busy"]); // what this page put there

function morph(old, fresh) {
  // Make `old` equal to `fresh` in place, so that focus, selection, open details and typed text stay.
  for (const name of old.getAttributeNames()) {
    if (!fresh.hasAttribute(name) && !OURS.has(name)) old.removeAttribute(name);
  }
  for (const name of fresh.getAttributeNames()) {
    if (old.getAttribute(name) !== fresh.getAttribute(name)) old.setAttribute(name, fresh.getAttribute(name));
  }
  if (old.matches("textarea, select, time[data-tell]")) return;
  const kept = new Map([...old.children].filter((one) => one.id).map((one) => [one.id, one]));
  let place = old.firstChild;
  for (const next of [...fresh.childNodes]) {
    const match = next.id ? kept.get(next.id) : alike(place, next) ? place : null;
    if (!match) {
      old.insertBefore(document.importNode(next, true), place);
      continue;
    }
    if (match === place) place = place.nextSibling;
    else old.insertBefore(match, place);
    if (match.nodeType === Node.ELEMENT_NODE) morph(match, next);
    else if (match.nodeValue !== next.nodeValue) match.nodeValue = next.nodeValue;
  }
  while (place) {
    const gone = place;
    place = place.nextSibling;
    gone.remove();
  }
}

function alike(one, other) {
  return Boolean(one) && one.nodeType === other.nodeType && one.nodeName === other.nodeName && !one.id;
}

const stateLabel = document.getElementById("link-state");
let lastHeardMs = Date.now();
let refreshing = false;
let wanted = false;
let refreshedMs = 0;

function linkState(state, text) {
  if (!stateLabel) return;
  stateLabel.dataset.state = state;
  if (stateLabel.textContent !== text) stateLabel.textContent = text;
}

async function refresh() {
  if (refreshing) {
    wanted = true;
    return;
  }
  refreshing = true;
  wanted = false;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
    if (answer.redirected && new URL(answer.url).pathname === "/login") {
      linkState("lost", "Signed out");
      return;
    }
    if (!answer.ok) throw new Error(String(answer.status));
    replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
    linkState("live", "Live");
  } catch {
    linkState("lost", "Not live");
  } finally {
    refreshing = false;
    refreshedMs = Date.now();
    if (wanted) later();
  }
}

function replace(fresh) {
  serverAheadMs = Number(fresh.body.dataset.now) - Date.now();
  for (const part of fresh.querySelectorAll("[data-live]")) {
    const old = document.getElementById(part.id);
    if (old) morph(old, part);
  }
  document.title = fresh.title;
  tellTimes();
}

let timer = 0;
function later() {
  wanted = true;
  if (timer) return;
  timer = setTimeout(() => {
    timer = 0;
    refresh();
  }, Math.max(0, pauseMs - (Date.now() - refreshedMs)));
}

function follow(address) {
  const source = new EventSource(address);
  const heard = () => {
    lastHeardMs = Date.now();
    linkState("live", "Live");
  };
  source.addEventListener("open", heard); // the first change names everything: what changed while nobody listened
  source.addEventListener("change", (event) => {
    heard();
    if (JSON.parse(event.data).parts.some((part) => followed.has(part))) later();
  });
  source.addEventListener("error", () => linkState("lost", "Not live"));
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (shown) => shown.persisted && location.reload());
}

function checkSilence() {
  // Nothing changed, or the connection hangs: looking tells.
  if (!body.dataset.follow || Date.now() - lastHeardMs < SILENCE_MS_MAX) return;
  lastHeardMs = Date.now();
  refresh();
}

// -- forms, dialogs, ids --------------------------------------------------------------------------------------------
const toast = document.getElementById("toast");

function say(text) {
  toast.textContent = text;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => (toast.textContent = ""), 2_500);
}

document.addEventListener("click", async (event) => {
  const opener = event.target.closest("[data-dialog]");
  const dialog = opener && document.getElementById(opener.dataset.dialog);
  if (dialog) {
    event.preventDefault();
    dialog.showModal();
    return;
  }
  const closer = event.target.closest("[data-close]");
  if (closer) closer.closest("dialog").close();
  const copier = event.target.closest("[data-copy]");
  if (copier) {
    event.preventDefault();
    await copy(copier);
  }
});

async function copy(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    say(`Copied ${button.dataset.copy.slice(0, 40)}`);
  } catch {
    say("This browser does not let the page copy");
  }
}

const question = document.getElementById("confirm");
let asking = null;

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method === "dialog" || form.method === "get") return;
  const sender = event.submitter;
  const asked = sender?.dataset.confirm ?? form.dataset.confirm;
  if (asked && asking !== form) {
    event.preventDefault();
    document.getElementById("confirm-text").textContent = asked;
    const yes = document.getElementById("confirm-yes");
    yes.textContent = sender?.textContent.trim() || "Do it";
    question.onclose = () => {
      if (question.returnValue !== "yes") return;
      asking = form;
      form.requestSubmit(sender);
    };
    question.returnValue = "";
    question.showModal();
    return;
  }
  asking = null;
  if (form.dataset.sent) {
    event.preventDefault(); // pressed twice
    return;
  }
  form.dataset.sent = "yes";
  sender?.setAttribute("aria-busy", "true");
});

// -- keys -----------------------------------------------------------------------------------------------------------
const GO = new Map([...document.querySelectorAll(".tabs a[data-key]")].map((one) => [one.dataset.key, one]));
const keysSwitch = document.getElementById("keys-on");
let afterG = 0;

function keysAreOn() {
  return localStorage.getItem(KEYS_OFF) === null;
}

function move(step) {
  const rows = [...document.querySelectorAll("[data-row]")];
  const links = rows.map((row) => row.querySelector("a[href], summary, button")).filter(Boolean);
  if (!links.length) return;
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const next = links[at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + step))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

const SINGLE = {
  "?": () => document.getElementById("keys").showModal(),
  j: () => move(1),
  k: () => move(-1),
  "/": () => document.querySelector("[data-filter]")?.focus(),
  r: () => refresh(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !keysAreOn() || document.querySelector("dialog[open]")) return;
  if (event.target.closest("input, textarea, select")) return;
  if (Date.now() - afterG < 1_500 && GO.has(event.key)) {
    afterG = 0;
    event.preventDefault();
    GO.get(event.key).click();
    return;
  }
  afterG = event.key === "g" ? Date.now() : 0;
  const act = Object.hasOwn(SINGLE, event.key) ? SINGLE[event.key] : null;
  if (!act) return;
  event.preventDefault();
  act();
});

if (keysSwitch) {
  keysSwitch.checked = keysAreOn();
  keysSwitch.addEventListener("change", () => {
    if (keysSwitch.checked) localStorage.removeItem(KEYS_OFF);
    else localStorage.setItem(KEYS_OFF, "yes");
  });
}

if (document.querySelector("[data-said]")) {
  const address = new URL(location.href);
  address.searchParams.delete("said"); // it is said once
  history.replaceState(null, "", address);
}

document.documentElement.classList.add("js");
tellTimes();
setInterval(() => {
  tellTimes();
  checkSilence();
}, 1_000);
if (body.dataset.follow) follow(body.dataset.follow);
