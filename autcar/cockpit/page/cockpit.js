// The cockpit page. State flows one way: the car sends it ten times a second, `render` shows it.
"use strict";

const $ = (id) => document.getElementById(id);
const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

const DISCARD_S = 5, SAVE_S = 10, BEAT_MS = 100, STALE_MS = 1000, SILENT_MS = 4000;

// ---------------------------------------------------------------- the 12 commands

// In the pad's order: label, keys to show, wheel speeds that draw its arrow, place on the pad.
const COMMANDS = [
  ["move_fast_forward", "Shift W", 1, 1],
  ["left_medium_forward", "A", .14, .7], ["left_light_forward", "W A", .35, .7],
  ["move_medium_forward", "W", .7, .7],
  ["right_light_forward", "W D", .7, .35], ["right_medium_forward", "D", .7, .14],
  ["left_medium_backwards", "Shift S A", -.14, -.7], ["left_light_backwards", "S A", -.35, -.7],
  ["move_medium_backwards", "S", -.7, -.7],
  ["right_light_backwards", "S D", -.7, -.35], ["right_medium_backwards", "Shift S D", -.7, -.14],
  ["stop", "", 0, 0],
].map(([label, keys, left, right]) => ({ label, keys, left, right, name: nameOf(label), hue: hueOf(label) }));
const BY_LABEL = new Map(COMMANDS.map((command) => [command.label, command]));

// The words of the recordings and of the command line: one word for one thing.
function nameOf(label) {
  return label.replaceAll("_", " ");
}

function hueOf(label) {
  const [type, manner, direction] = label.split("_");
  if (type === "stop") return "#8a97a6";
  const back = direction === "backwards";
  if (type === "move") return back ? "#9b7bea" : manner === "fast" ? "#ffc53d" : "#35c27a";
  const medium = manner === "medium";
  if (type === "left") return back ? (medium ? "#3f6fb8" : "#6f96cc") : (medium ? "#2f8fff" : "#74b6ff");
  return back ? (medium ? "#b8573f" : "#cc836f") : (medium ? "#ff6b35" : "#ffa27e");
}

// The way a car goes, north up, as an SVG path with an arrow head; `size` is its length. It begins
// at (0, 0), or is put in the middle of -50…50 by -95…5.
function way({ left, right }, size, middle = false) {
  if (!left && !right) return `M${-size * .22} -45h${size * .44}`;
  const steps = 24, forward = Math.sign(left + right), turn = (left - right) * 2.9;
  const long = size * Math.min(1, .45 + .55 * Math.abs(left + right) / 2);
  const points = [[0, forward > 0 ? 0 : -size * .9]];
  let angle = 0;
  for (let step = 0; step < steps; step++) {
    const [x, y] = points.at(-1);
    angle += turn / steps;
    points.push([x + Math.sin(angle) * forward * long / steps, y - Math.cos(angle) * forward * long / steps]);
  }
  const [x, y] = points.at(-1), head = size * .24, at = angle + (forward < 0 ? Math.PI : 0);
  const wing = (side) => [x - Math.sin(at + side) * head, y + Math.cos(at + side) * head];
  const lines = [points, [wing(.65), [x, y], wing(-.65)]];
  const centre = (axis) => { const all = lines.flat().map((point) => point[axis]); return (Math.min(...all) + Math.max(...all)) / 2; };
  const [dx, dy] = middle ? [-centre(0), -45 - centre(1)] : [0, 0];
  return lines.map((line) => "M" + line.map(([px, py]) => `${(px + dx).toFixed(1)} ${(py + dy).toFixed(1)}`).join("L")).join("");
}

function arrow(command) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.setAttribute("viewBox", "-50 -95 100 100");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", way(command, 92, true));
  svg.append(path);
  return svg;
}

// ---------------------------------------------------------------- the link

const car = { you: null, lease: null, number: 0, status: null, statusAt: 0, drawnAt: 0, drawn: -1, socket: null };
let retryMs = 500;

function send(order) {
  if (car.socket?.readyState === WebSocket.OPEN) car.socket.send(JSON.stringify(order));
}

async function connect() {
  let hello;
  try {
    hello = await (await fetch("/hello")).json();
  } catch {
    return later();
  }
  document.title = `${hello.car} · cockpit`;
  $("car").textContent = hello.car;
  if (!hello.paired && !(await pairBy(location.hash.slice(1)))) return showPairing();
  history.replaceState(null, "", "/");
  $("pairing").hidden = true;
  $("cockpit").hidden = false;
  const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/socket`);
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => (typeof data === "string" ? hear(JSON.parse(data)) : show(data));
  socket.onopen = () => { retryMs = 500; listSessions(); if (document.hidden) send({ do: "view", on: false }); };
  socket.onclose = closed;
  car.socket = socket;
  car.statusAt = performance.now();
}

function closed() {
  car.socket = null;
  drop();
  render();
  later();
}

// A link that says nothing is as good as none, though nobody has closed it.
setInterval(() => {
  if (!car.socket || performance.now() - car.statusAt < SILENT_MS) return;
  car.socket.onclose = null;
  car.socket.close();
  closed();
}, 1000);

function later() {
  setTimeout(connect, retryMs);
  retryMs = Math.min(3000, retryMs * 1.5);
}

function hear(message) {
  if (message.time !== undefined) {
    car.status = message;
    car.statusAt = performance.now();
    if (car.lease !== null && (message.lease > car.lease || (message.lease === car.lease && !message.driver))) drop();
    render();
  } else if (message.hello) {
    car.you = message.hello.you;
    car.number = 0;
  } else if (message.lease !== undefined) {
    car.lease = message.lease;
    beat();
  } else if (message.error) {
    toast(message.error, true);
  } else if (message.done) {
    done(message.done);
  }
}

function done({ what, frames }) {
  const count = `${frames} frame${frames === 1 ? "" : "s"}`;
  if (what === "discard") toast(frames ? `${count} discarded` : "nothing to discard");
  if (what === "undo" || what === "restore") toast(frames ? `${count} taken back` : "nothing to take back");
  if (what === "save") toast(frames ? `${count} saved` : "nothing was driven that is not on file already");
  if (what === "delete") toast(`${count} deleted; undo takes them back`);
  if (what === "delete" || what === "restore") openLeaf(leaf.name, leaf.at);
  if (what !== "record" && what !== "pause") setTimeout(listSessions, 600);
}

// ---------------------------------------------------------------- pairing

async function pairBy(code) {
  if (!code) return false;
  const answer = await fetch("/pair", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ code }) });
  if (answer.ok) return true;
  const { wait_s: wait = 0 } = await answer.json().catch(() => ({}));
  $("pair-error").textContent = wait ? `Too many wrong codes. Wait ${wait} seconds.` : "That is not the code.";
  return false;
}

function showPairing() {
  $("cockpit").hidden = true;
  $("pairing").hidden = false;
  $("link").textContent = "not paired";
  $("code").focus();
}

$("pair").onsubmit = async (event) => {
  event.preventDefault();
  if (await pairBy($("code").value.trim())) connect();
};

// ---------------------------------------------------------------- the picture

const canvas = $("picture"), context = canvas.getContext("2d", { alpha: false, desynchronized: true });

async function show(data) {
  const head = new DataView(data), sequence = head.getUint32(0, true);
  try {
    const picture = await createImageBitmap(new Blob([new Uint8Array(data, 16)], { type: "image/jpeg" }));
    if (canvas.width !== picture.width || canvas.height !== picture.height) {
      canvas.width = picture.width;
      canvas.height = picture.height;
    }
    context.drawImage(picture, 0, 0);
    picture.close();
    car.drawn = sequence;
    car.drawnAt = performance.now();
    document.dispatchEvent(new CustomEvent("drawn", { detail: { sequence, time: Number(head.getBigInt64(4, true)) / 1e6 } }));
  } finally {
    send({ do: "drawn", sequence });
  }
}

// ---------------------------------------------------------------- driving

const held = new Set();            // keys, by their place on the keyboard
let pressed = null, steered = null; // commands of the pad and of the gamepad
let spoken = "stop";

const KEYS = { KeyW: "up", ArrowUp: "up", KeyS: "down", ArrowDown: "down", KeyA: "left", ArrowLeft: "left", KeyD: "right", ArrowRight: "right", ShiftLeft: "shift", ShiftRight: "shift" };

function fromKeys() {
  const has = (what) => [...held].some((key) => KEYS[key] === what);
  const ahead = has("up") - has("down"), side = has("right") - has("left"), shift = has("shift");
  if (!ahead && !side) return "stop";
  if (!side) return ahead < 0 ? "move_medium_backwards" : shift ? "move_fast_forward" : "move_medium_forward";
  const medium = shift || !ahead;
  return `${side < 0 ? "left" : "right"}_${medium ? "medium" : "light"}_${ahead < 0 ? "backwards" : "forward"}`;
}

const wanted = () => pressed ?? steered ?? fromKeys();

function beat() {
  spoken = wanted();
  if (car.lease === null || !car.status) return;
  send({ do: "beat", lease: car.lease, number: ++car.number, command: spoken, echo: car.status.time });
}

function changed() {
  if (wanted() !== spoken) beat();
  showCommand();
}

function letGo() {
  held.clear();
  pressed = steered = null;
  changed();
}

function drop() {
  letGo();
  car.lease = null;
}

// Leaving the wheel: the car rests until somebody takes it again.
function release() {
  letGo();
  if (car.lease !== null) send({ do: "release", lease: car.lease });
  car.lease = null;
}

function stop() {
  send({ do: "stop" });
  drop();
}

function take() {
  if (car.lease !== null) return release();
  letGo();
  send({ do: "take" });
}

// Where a pilot drives, whoever steers drives at once; only a request hands back.
function takeOver() {
  if (!car.status?.pilot || car.lease !== null || car.status.driver || wanted() === "stop") return false;
  send({ do: "take" });
  return true;
}

function handBack() {
  if (!car.status?.pilot) return;
  release();
  send({ do: "hand_back" });
}

setInterval(() => {
  if (car.lease === null) return;
  if (performance.now() - Math.max(car.drawnAt, car.statusAt - STALE_MS) > STALE_MS) {
    release();
    toast("the picture stands still, so the car does, too", true);
  } else beat();
}, BEAT_MS);

document.addEventListener("visibilitychange", () => {
  if (document.hidden) release();
  send({ do: "view", on: !document.hidden });
});
addEventListener("blur", release);
addEventListener("pagehide", release);

// ---------------------------------------------------------------- keys

const SHORTCUTS = {
  Enter: take, KeyR: toggleRecord, KeyF: () => send({ do: "finish" }), Backspace: discard, KeyU: undo,
  KeyG: () => send({ do: "save", seconds: SAVE_S }), KeyL: turnTheme, KeyH: handBack,
};

addEventListener("keydown", (event) => {
  if (event.target.matches("input:not([type=range])") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.code === "Space") {
    event.preventDefault();
    if (!event.repeat) stop();
    return;
  }
  if ($("leaf").open) return leafKey(event);
  if (event.key === "?") return $("help").showModal();
  if ($("help").open || $("cockpit").hidden) return;
  if (KEYS[event.code]) {
    event.preventDefault();
    if (!event.repeat) { held.add(event.code); takeOver(); changed(); }
  } else if (SHORTCUTS[event.code] && !event.repeat) {
    if (event.code === "Enter" && event.target.matches("button:not(#take)")) return;
    event.preventDefault();
    SHORTCUTS[event.code]();
  }
}, true);

addEventListener("keyup", (event) => {
  if (event.code === "Space") event.preventDefault();
  if (held.delete(event.code)) changed();
}, true);

// ---------------------------------------------------------------- the pad

for (const command of COMMANDS.slice(0, -1)) {
  const button = make("button", { type: "button", title: `${command.name} (${command.keys})`, ariaLabel: command.name }, arrow(command), make("kbd", { textContent: command.keys.replace("Shift", "⇧") }));
  button.dataset.command = command.label;
  if (command.label === "move_fast_forward") {
    button.className = "fast";
    button.prepend("fast");
  }
  // Held by keyboard (Enter on a focused button), for those who use no other keys.
  button.onkeydown = (event) => { if (event.code === "Enter" && !event.repeat) press(command.label); };
  button.onkeyup = (event) => { if (event.code === "Enter") press(null); };
  button.onblur = () => { if (pressed === command.label) press(null); };
  $("pad").append(button);
}

function press(label) {
  pressed = label;
  if (label && car.lease === null && !takeOver()) toast("take the wheel first (Enter)");
  changed();
}

const under = (event) => document.elementFromPoint(event.clientX, event.clientY)?.closest("[data-command]")?.dataset.command ?? null;
$("pad").onpointerdown = (event) => {
  if (event.button !== 0) return;
  $("pad").setPointerCapture(event.pointerId);
  press(under(event));
};
$("pad").onpointermove = (event) => {
  if (!$("pad").hasPointerCapture(event.pointerId)) return;
  const label = under(event);
  if (label !== pressed) { pressed = label; changed(); }
};
$("pad").onpointerup = $("pad").onpointercancel = $("pad").onlostpointercapture = () => press(null);
$("pad").oncontextmenu = (event) => event.preventDefault();

// ---------------------------------------------------------------- the gamepad

// A trigger takes over when it is pulled, not while it is held: a STOP in between holds.
let buttonsBefore = [], reading = false, pulledBefore = true;

function readGamepad() {
  const gamepad = [...navigator.getGamepads()].find(Boolean);
  reading = !!gamepad;
  if (!gamepad) { steered = null; pulledBefore = true; return changed(); }
  const down = gamepad.buttons.map((button) => button.pressed);
  const push = (trigger, cross) => gamepad.buttons[trigger]?.value || Number(down[cross] ?? 0);
  const once = (index) => down[index] && !buttonsBefore[index];
  if (once(1)) stop();
  if (once(0)) take();
  if (once(9)) toggleRecord();
  buttonsBefore = down;
  const side = Math.abs(gamepad.axes[0]) > .2 ? gamepad.axes[0] : push(15, 15) - push(14, 14);
  const ahead = push(7, 12) - push(6, 13);
  const pulled = Math.abs(ahead) > .1;
  steered = null;
  if (pulled) {
    const back = ahead < 0, far = Math.abs(side);
    if (far < .2) steered = back ? "move_medium_backwards" : ahead > .85 ? "move_fast_forward" : "move_medium_forward";
    else steered = `${side < 0 ? "left" : "right"}_${far > .65 ? "medium" : "light"}_${back ? "backwards" : "forward"}`;
    if (!pulledBefore) takeOver();
  }
  pulledBefore = pulled;
  changed();
  requestAnimationFrame(readGamepad);
}
addEventListener("gamepadconnected", (event) => {
  toast(`gamepad: ${event.gamepad.id.slice(0, 40)}`);
  if (!reading) requestAnimationFrame(readGamepad);
});
addEventListener("gamepaddisconnected", release);

// ---------------------------------------------------------------- recording

function toggleRecord() {
  send({ do: car.status?.record?.state === "recording" ? "pause" : "record" });
}
function discard() { send({ do: "discard", seconds: DISCARD_S }); }
function undo() { send({ do: "undo" }); }

$("take").onclick = take;
$("hand-back").onclick = handBack;
$("stop").onclick = stop;
$("record-toggle").onclick = toggleRecord;
$("finish").onclick = SHORTCUTS.KeyF;
$("discard").onclick = discard;
$("undo").onclick = undo;
$("save").onclick = SHORTCUTS.KeyG;
$("reload").onclick = () => listSessions();
$("help-open").onclick = () => $("help").showModal();
for (const button of document.querySelectorAll("[data-close]")) button.onclick = () => button.closest("dialog").close();
for (const button of document.querySelectorAll("[data-stop]")) button.onclick = stop;

const barsIn = (place) => new Map(COMMANDS.map((command) => {
  const fill = make("i"), count = make("b", { textContent: "0", className: "none" });
  const row = make("div", { role: "listitem" }, arrow(command), make("span", { textContent: command.name }), make("span", { className: "track" }, fill), count);
  row.style.setProperty("--hue", command.hue);
  place.append(row);
  return [command.label, { row, fill, count }];
}));
const bars = barsIn($("bars")), thoughts = barsIn($("scores"));
const CLASSES = COMMANDS.map((command) => command.label).sort(); // the class is the place in this order

// ---------------------------------------------------------------- showing

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
const text = (element, value) => { if (element.textContent !== value) element.textContent = value; };

function render() {
  const status = car.status, mine = car.lease !== null;
  const alive = car.socket?.readyState === WebSocket.OPEN && status;
  const link = $("link");
  const piloted = status?.pilot?.driving && !status.driver;
  link.dataset.state = !alive ? "off" : mine ? "drive" : status.driver || piloted ? "other" : "rest";
  text(link, !alive ? "no link" : mine ? "you drive" : status.driver ? `${status.driver} drives` : piloted ? "the pilot drives" : "at rest");
  if (!status) return;
  const { camera, record, health } = status;
  const stale = !alive || camera.age_ms === null || camera.age_ms > STALE_MS;
  $("view").toggleAttribute("data-stale", stale);
  text($("rate"), stale ? "no picture" : `${camera.fps.toFixed(0)} fps${camera.latency_ms === null ? "" : ` · ${camera.latency_ms} ms`}`);
  $("take").toggleAttribute("data-mine", mine);
  $("take").disabled = !alive || (!mine && !!status.driver);
  text($("take").firstElementChild, mine ? "Let go" : status.driver ? `${status.driver} drives` : piloted ? "Take over" : "Take the wheel");
  text($("rest"), mine || status.driver || piloted ? "" : !alive ? "The link to the car is lost" : status.pilot?.reason ? `At rest: ${status.pilot.reason}` : REASONS[status.reason] ?? `Stopped: ${status.reason}`);
  showCommand();
  renderVitals(camera, record, health, status.viewers);
  renderPilot(status.pilot, mine || !!status.driver);
  renderRecord(record, mine || !status.driver || !status.driver.startsWith("browser"));
}

function renderPilot(pilot, person) {
  $("pilot").hidden = !pilot;
  if (!pilot) return;
  text($("pilot-name"), pilot.name);
  $("pilot-reason").hidden = !pilot.reason || person;
  text($("pilot-reason"), pilot.reason ? `At rest: ${pilot.reason}` : "");
  $("hand-back").disabled = pilot.driving || (person && car.lease === null);
  const percent = (share) => `${Math.round(100 * share)} %`;
  figures($("pilot-figures"), [
    ["sure", pilot.driving ? percent(pilot.confidence) : "–"], ["frame age", `${pilot.age_ms ?? "–"} ms`],
    ["thinks for", `${pilot.pilot_ms ?? "–"} ms`], ["frames/s", `${pilot.rate ?? "–"}`],
    ...(pilot.remark ? [["sees", pilot.remark]] : []),
  ]);
  CLASSES.forEach((label, index) => {
    const bar = thoughts.get(label), score = pilot.scores?.[index] ?? 0;
    bar.row.toggleAttribute("data-on", pilot.driving && label === pilot.command);
    text(bar.count, percent(score));
    bar.count.classList.toggle("none", score < .005);
    bar.fill.style.transform = `scaleX(${Math.min(1, score)})`;
  });
}

const REASONS = { "not armed": "At rest. Take the wheel to drive.", "stop pressed": "STOP was pressed" };

function showCommand() {
  const mine = car.lease !== null, label = mine ? wanted() : car.status?.command ?? (car.status?.pilot?.driving ? car.status.pilot.command : null);
  $("pad").toggleAttribute("data-idle", !mine);
  for (const button of $("pad").children) button.toggleAttribute("data-on", button.dataset.command === (mine || pressed ? wanted() : label));
  for (const [name, bar] of bars) bar.row.toggleAttribute("data-on", name === label);
  const path = $("way").firstElementChild, moves = label && label !== "stop";
  path.setAttribute("d", moves ? way(BY_LABEL.get(label) ?? { left: 0, right: 0 }, 72) : "");
}

function renderVitals(camera, record, health, viewers) {
  const items = [];
  if (record) items.push([`${(record.free_mb / 1000).toFixed(record.free_mb < 10000 ? 1 : 0)} GB free`, record.free_mb < 1000, ""]);
  if (health.temperature_c !== undefined) items.push([`${health.temperature_c.toFixed(0)} °C`, health.temperature_c > 80, ""]);
  if (health.battery_percent !== undefined) items.push([`${health.battery_percent} %`, health.battery_percent < 15, ""]);
  if (health.under_voltage) items.push(["under-voltage: charge the battery", true, ""]);
  if (camera.missed) items.push([`${camera.missed} frame${camera.missed === 1 ? "" : "s"} missed`, false, "extra"]);
  if (viewers > 1) items.push([`${viewers} pages open`, false, "extra"]);
  const list = $("vitals");
  while (list.children.length < items.length) list.append(make("li"));
  while (list.children.length > items.length) list.lastChild.remove();
  items.forEach(([words, bad, extra], index) => {
    text(list.children[index], words);
    list.children[index].className = `${bad ? "bad" : ""} ${extra}`;
  });
}

const NAMES = { off: "", recording: "recording", paused: "paused" };

function renderRecord(record, may) {
  $("record").hidden = !record;
  if (!record) return;
  const on = record.state !== "off";
  $("rec").hidden = !on;
  $("rec").dataset.state = record.state;
  text($("rec"), `${clock(record.seconds)} · ${record.frames}`);
  text($("record-state"), on ? `${NAMES[record.state]} ${record.session ?? ""}` : record.session ? `last: ${record.session}` : "");
  const toggle = $("record-toggle");
  toggle.dataset.state = record.state;
  text(toggle.firstElementChild, record.state === "recording" ? "Pause" : on ? "Go on" : "Record");
  toggle.disabled = !may || !car.socket;
  $("finish").disabled = !may || !on;
  $("discard").disabled = !may || !record.frames;
  $("undo").disabled = !may || !record.discarded;
  $("save").disabled = !may || !car.socket;
  $("note").hidden = !record.note;
  text($("note"), record.note ?? "");
  const dropped = Object.values(record.dropped).reduce((sum, count) => sum + count, 0);
  const why = Object.entries(record.dropped).map(([reason, count]) => `${count} × ${reason}`).join(", ");
  const idle = on && record.state === "recording" && !car.status.driver;
  figures($("figures"), [["time", clock(record.seconds)], ["frames", `${record.frames}`], ["discarded", `${record.discarded}`], ["dropped", `${dropped}`, why, dropped > 0]]);
  if (idle && !record.note) { $("note").hidden = false; text($("note"), "Nobody drives, so no frames are taken."); }
  const most = Math.max(1, ...Object.values(record.counts));
  for (const [label, bar] of bars) {
    const count = record.counts[label] ?? 0;
    text(bar.count, `${count}`);
    bar.count.classList.toggle("none", !count);
    bar.fill.style.transform = `scaleX(${count / most})`;
  }
}

function figures(list, items) {
  if (list.children.length !== items.length) list.replaceChildren(...items.map(() => make("div", {}, make("dt"), make("dd"))));
  items.forEach(([name, value, title = "", bad = false], index) => {
    const cell = list.children[index];
    text(cell.firstChild, name);
    text(cell.lastChild, value);
    cell.title = title;
    cell.className = bad ? "bad" : "";
  });
}

function toast(words, bad = false) {
  const note = make("p", { textContent: words });
  note.toggleAttribute("data-bad", bad);
  while ($("toasts").children.length > 2) $("toasts").firstChild.remove();
  $("toasts").append(note);
  setTimeout(() => note.remove(), bad ? 5000 : 2500);
}

// ---------------------------------------------------------------- recordings

const picture = (name, row) => `/sessions/${encodeURIComponent(name)}/${row}`;
const day = (started) => (started ? new Date(started).toLocaleString([], { dateStyle: "medium", timeStyle: "short" }) : "");

async function listSessions() {
  const answer = await fetch("/sessions").catch(() => null);
  const found = answer?.ok ? await answer.json() : [];
  const cards = found.slice(0, 200).map((one) => {
    const card = make("button", { type: "button" },
      make("img", { src: picture(one.name, one.row), loading: "lazy", alt: "" }),
      make("span", { textContent: one.name }),
      make("small", {}, `${one.frames - one.deleted} frames`, one.seconds === null ? "" : ` · ${clock(one.seconds)}`,
        one.deleted ? ` · ${one.deleted} deleted` : "", one.recording ? make("em", { textContent: " · recording" }) : ""));
    card.title = one.problem ?? day(one.started);
    card.setAttribute("role", "listitem");
    card.onclick = () => openLeaf(one.name, 0);
    return card;
  });
  $("list").replaceChildren(...(cards.length ? cards : [make("p", { textContent: "None yet. Take the wheel, press Record, and drive." })]));
}

const leaf = { name: null, rows: null, at: 0, from: null, to: null, timer: null };

async function openLeaf(name, at) {
  if (!name) return;
  release();
  const answer = await fetch(`/sessions/${encodeURIComponent(name)}/rows`);
  const rows = await answer.json();
  if (!answer.ok) return toast(rows.error, true);
  Object.assign(leaf, { name, rows, from: null, to: null });
  $("leaf-name").textContent = name;
  $("scrub").max = rows.row.length - 1;
  const used = [...new Set(rows.label)].filter((index) => index >= 0).sort((a, b) => a - b);
  $("legend").replaceChildren(...used.map((index) => {
    const command = BY_LABEL.get(rows.labels[index]), dot = make("i");
    dot.style.setProperty("--hue", command.hue);
    return make("span", {}, dot, command.name);
  }));
  if (!$("leaf").open) $("leaf").showModal();
  turn(Math.min(at, rows.row.length - 1));
}

function turn(at) {
  const { rows } = leaf;
  leaf.at = Math.max(0, Math.min(rows.row.length - 1, at));
  const index = leaf.at, gone = rows.gone[index];
  $("scrub").value = index;
  $("leaf-image").src = picture(leaf.name, rows.row[index]);
  const command = BY_LABEL.get(rows.labels[rows.label[index]]);
  $("leaf-caption").textContent = `${clock(rows.ms[index] / 1000)} · ${index + 1} of ${rows.row.length} · ${command?.name ?? "slow or harsh"}${gone ? " · deleted" : ""}`;
  $("leaf").toggleAttribute("data-gone", !!gone);
  $("cut").disabled = leaf.from === null && leaf.to === null;
  $("uncut").disabled = !rows.undo;
  drawRibbon();
}

const range = () => {
  const from = leaf.from ?? 0, to = leaf.to ?? leaf.rows.row.length - 1;
  return [Math.min(from, to), Math.max(from, to)];
};

function drawRibbon() {
  const ribbon = $("ribbon"), { rows } = leaf, count = rows.row.length, pen = ribbon.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  ribbon.width = ribbon.clientWidth * devicePixelRatio;
  ribbon.height = ribbon.clientHeight * devicePixelRatio;
  const { width, height } = ribbon;
  for (let x = 0; x < width; x++) {
    const index = Math.min(count - 1, Math.floor(x / width * count));
    pen.globalAlpha = rows.gone[index] ? .18 : 1;
    pen.fillStyle = BY_LABEL.get(rows.labels[rows.label[index]])?.hue ?? "#888";
    pen.fillRect(x, 0, 1, height);
  }
  pen.globalAlpha = 1;
  if (leaf.from !== null || leaf.to !== null) {
    const [from, to] = range(), x = from / count * width, wide = Math.max(2, (to + 1 - from) / count * width);
    pen.fillStyle = "rgb(229 56 59 / .55)";
    pen.fillRect(x, 0, wide, height);
  }
  pen.fillStyle = style.getPropertyValue("--text");
  pen.fillRect((leaf.at + .5) / count * width - 1.5, 0, 3, height);
}

function play() {
  if (leaf.timer) {
    clearInterval(leaf.timer);
    leaf.timer = null;
  } else {
    leaf.timer = setInterval(() => (leaf.at + 1 < leaf.rows.row.length ? turn(leaf.at + 1) : play()), 50);
  }
  $("play").firstChild.textContent = leaf.timer ? "Pause" : "Play";
}

function mark(which) {
  leaf[which] = leaf.at;
  turn(leaf.at);
}

function cut() {
  if ($("cut").disabled) return;
  const [from, to] = range();
  send({ do: "delete", session: leaf.name, first: leaf.rows.row[from], last: leaf.rows.row[to] });
}

const uncut = () => send({ do: "restore", session: leaf.name });

const LEAF_KEYS = {
  ArrowLeft: (step) => turn(leaf.at - step), ArrowRight: (step) => turn(leaf.at + step), Home: () => turn(0), End: () => turn(1e9),
  KeyP: play, KeyI: () => mark("from"), KeyO: () => mark("to"), Delete: cut, Backspace: cut, KeyU: uncut,
};

function leafKey(event) {
  const act = LEAF_KEYS[event.code];
  if (!act) return;
  event.preventDefault();
  act(event.shiftKey ? 20 : 1);
}

$("scrub").oninput = () => turn(Number($("scrub").value));
$("play").onclick = play;
$("mark-in").onclick = () => mark("from");
$("mark-out").onclick = () => mark("to");
$("cut").onclick = cut;
$("uncut").onclick = uncut;
$("leaf").onclose = () => { if (leaf.timer) play(); listSessions(); };
$("ribbon").onpointerdown = $("ribbon").onpointermove = (event) => {
  if (event.buttons) turn(Math.floor(event.offsetX / $("ribbon").clientWidth * leaf.rows.row.length));
};

// ---------------------------------------------------------------- theme

const dark = matchMedia("(prefers-color-scheme: dark)");

function showTheme() {
  const chosen = localStorage.getItem("theme");
  document.documentElement.dataset.theme = chosen ?? (dark.matches ? "dark" : "light");
}
function turnTheme() {
  const next = { null: "light", light: "dark", dark: null }[localStorage.getItem("theme")];
  if (next) localStorage.setItem("theme", next);
  else localStorage.removeItem("theme");
  showTheme();
  toast(next ?? "light or dark, as the system");
}
dark.addEventListener("change", showTheme);
$("theme").onclick = turnTheme;

showTheme();
connect();
