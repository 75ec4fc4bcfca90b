// The class-room page: shows what the server tells of each car, and says STOP.
"use strict";

const $ = (id) => document.getElementById(id);
const cards = [];
const STOP_CHECK_MS = 1500;
let socket = null, told = [], stopping = null;

function text(element, words) { if (element.textContent !== words) element.textContent = words; }
function send(order) { if (socket?.readyState === WebSocket.OPEN) { socket.send(JSON.stringify(order)); return true; } return false; }

function connect() {
  socket = new WebSocket(`ws://${location.host}/socket`);
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => typeof data === "string" ? show(JSON.parse(data)) : picture(data);
  socket.onclose = () => {
    text($("link"), "this page's server has ended");
    $("link").dataset.state = "off";
    for (const card of cards) card.root.toggleAttribute("data-gone", true);
    setTimeout(connect, 1000);
  };
}

function makeCard(index) {
  const root = $("car").content.firstElementChild.cloneNode(true);
  const card = { root, image: root.querySelector("img"), url: null };
  root.querySelector(".stop").onclick = () => { stop([index]); };
  root.querySelector("form").onsubmit = (event) => {
    event.preventDefault();
    const input = root.querySelector("input");
    if (input.value.trim()) send({ do: "code", car: index, code: input.value });
    input.value = "";
  };
  $("cars").append(root);
  return card;
}

function picture(data) {
  const card = cards[new DataView(data).getUint32(0, true)];
  if (!card) return;
  const before = card.url;
  card.url = URL.createObjectURL(new Blob([data.slice(4)], { type: "image/jpeg" }));
  card.image.src = card.url;
  if (before) URL.revokeObjectURL(before);
}

function show(cars) {
  told = cars;
  while (cards.length < cars.length) cards.push(makeCard(cards.length));
  cars.forEach((car, index) => showCar(cards[index].root, car));
  const there = cars.filter((car) => car.link === "there"), moving = there.filter((car) => !car.at_rest);
  text($("link"), `${there.length} of ${cars.length} cars linked, ${moving.length} driving`);
  $("link").dataset.state = there.length < cars.length ? "other" : "drive";
  checkStopped();
}

function name(car) { return car.name || new URL(car.url).host; }

const LINKS = { connecting: "connecting…", lost: "no link", code: "wants its code" };

function showCar(root, car) {
  const at = (selector) => root.querySelector(selector);
  const there = car.link === "there", status = car.status, pilot = status?.pilot;
  text(at("h2"), name(car));
  at("img").alt = `What ${name(car)} sees`;
  root.toggleAttribute("data-gone", !there);
  root.dataset.state = car.link === "code" ? "code" : !there || fault(car) ? "trouble" : "";
  text(at(".chip"), there ? (car.at_rest ? "at rest" : "drives") : LINKS[car.link]);
  at(".chip").dataset.state = !there ? (car.link === "code" ? "other" : "off") : car.at_rest ? "" : "drive";
  const command = status?.command ?? (pilot?.driving ? pilot.command : null);
  text(at("figcaption"), there && command && !car.at_rest ? command.replaceAll("_", " ") : "");
  text(at(".does"), there ? does(car) : "");
  text(at(".health"), there ? health(status) : car.problem);
  text(at(".failure"), car.failure ? `${ago(car.failed_s)} ago: ${car.failure}` : "");
  at("form").hidden = car.link !== "code";
  at("a").href = car.url;
  at(".stop").disabled = !there;
}

function fault(car) {
  const pilot = car.status?.pilot, reason = pilot ? pilot.reason : car.status?.reason;
  return car.at_rest && reason === car.failure && reason !== "";
}

function does({ status }) {
  const pilot = status.pilot;
  if (status.driver) return `${status.driver} drives${recording(status)}`;
  if (pilot?.driving) return `${pilot.name} drives, ${Math.round(100 * pilot.confidence)} % sure`;
  return `nobody drives${recording(status)}`;
}

function recording({ record }) {
  return record && record.state !== "off" ? `, ${record.state}: ${record.frames} frames` : "";
}

function health({ health, camera, record }) {
  const items = [];
  if (health.battery_percent !== undefined) items.push(`battery ${health.battery_percent} %`);
  if (health.under_voltage) items.push("UNDER-VOLTAGE");
  if (health.temperature_c !== undefined) items.push(`${Math.round(health.temperature_c)} °C`);
  items.push(camera.age_ms === null || camera.age_ms > 1000 ? "NO PICTURE" : `${Math.round(camera.fps)} fps`);
  if (record) items.push(`${(record.free_mb / 1000).toFixed(1)} GB free`);
  return items.join(" · ");
}

function ago(seconds) {
  return seconds < 90 ? `${seconds} s` : seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

function stop(indices) {
  const sent = indices === null ? send({ do: "stop" }) : send({ do: "stop", car: indices[0] });
  stopping = { cars: indices ?? told.map((_, index) => index), at: performance.now(), sent };
  checkStopped();
}

function checkStopped() {
  if (!stopping) return;
  const cars = stopping.cars.map((index) => told[index]).filter(Boolean);
  const unknown = cars.filter((car) => car.at_rest === null), moving = cars.filter((car) => car.at_rest === false);
  const old = performance.now() - stopping.at, line = $("stopped");
  const names = (list) => list.map(name).join(", ");
  const parts = [];
  if (!stopping.sent) parts.push("STOP could not be sent: this page's server has ended");
  else if (moving.length && old < STOP_CHECK_MS) parts.push("stopping…");
  else if (moving.length) parts.push(`STILL DRIVING: ${names(moving)}`);
  else parts.push(`${cars.length - unknown.length} of ${cars.length} at rest`);
  if (unknown.length) parts.push(`no link to ${names(unknown)}: look at it`);
  line.toggleAttribute("data-bad", !stopping.sent || unknown.length > 0 || (moving.length > 0 && old >= STOP_CHECK_MS));
  text(line, parts.join("; "));
  if (old > 8000) { stopping = null; line.removeAttribute("data-bad"); text(line, ""); }
}

function theme(next) {
  const order = ["", "light", "dark"], now = localStorage.getItem("theme") ?? "";
  const chosen = next ? order[(order.indexOf(now) + 1) % 3] : now;
  localStorage.setItem("theme", chosen);
  const light = chosen === "light" || (!chosen && matchMedia("(prefers-color-scheme: light)").matches);
  document.documentElement.dataset.theme = light ? "light" : "dark";
}

$("stop-all").onclick = () => stop(null);
$("theme").onclick = () => theme(true);
addEventListener("keydown", (event) => {
  if (event.target.tagName === "INPUT" || event.repeat) return;
  if (event.code === "Space") { event.preventDefault(); stop(null); }
  if (event.code === "KeyL") theme(true);
});
matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => theme(false));
theme(false);
connect();
