// Draws a Trace as SVG: refreshes, token lifetimes and requests against a moving "now".
import { timeOfDay } from "./view.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 194;
const LANES = { refreshes: 30, tokens: 52, requests: 136, axis: 172 };
const BAR_HEIGHT = 26;
const NOW_AT = 0.7;
const REQUEST_ROWS = 3;
const TICK_STEPS_MS = [15_000, 30_000, 60_000];
const TICK_WIDTH = 72;

function element(name, attributes, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

/** @returns {(snapshot: object) => void} draws the current moment */
export function createTimeline(svg, trace) {
  return (snapshot) => {
    const width = svg.clientWidth;
    if (width === 0) return;
    const now = Date.now();
    const spanMs = Math.min(150, Math.max(70, width / 8)) * 1000;
    const x = (time) => Math.round((NOW_AT + (time - now) / spanMs) * width * 10) / 10;
    const visible = (from, to = from) => x(to) >= 0 && x(from) <= width;

    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    svg.replaceChildren(
      hatching(),
      ...axis(now, spanMs, x, width),
      ...trace.tokens.filter(({ from, to, expiresAt }) => visible(from, to ?? expiresAt ?? now)).flatMap((token) =>
        drawToken(token, { now, x, width, planned: snapshot.nextRefresh?.at ?? null }),
      ),
      ...trace.refreshes.filter(({ at }) => visible(at)).map((refresh) => drawRefresh(refresh, x)),
      ...trace.requests.flatMap((request, index) =>
        visible(request.from, request.to ?? now) ? drawRequest(request, index, { now, x }) : [],
      ),
      element("line", { class: "now", x1: x(now), x2: x(now), y1: 12, y2: LANES.axis }),
      element("text", { class: "now-label", x: x(now), y: 9 }, "now"),
      ...laneLabels(),
    );
  };
}

function hatching() {
  const pattern = element("pattern", {
    id: "lead-hatching",
    width: 6,
    height: 6,
    patternUnits: "userSpaceOnUse",
    patternTransform: "rotate(45)",
  });
  pattern.append(element("rect", { class: "hatching", width: 2, height: 6 }));
  return pattern;
}

function laneLabels() {
  return [
    element("text", { class: "lane", x: 4, y: LANES.refreshes - 8 }, "refreshes"),
    element("text", { class: "lane", x: 4, y: LANES.requests - 12 }, "requests"),
  ];
}

function axis(now, spanMs, x, width) {
  const stepMs = TICK_STEPS_MS.find((step) => (step / spanMs) * width > TICK_WIDTH) ?? TICK_STEPS_MS.at(-1);
  const nodes = [element("line", { class: "axis", x1: 0, x2: width, y1: LANES.axis, y2: LANES.axis })];
  const first = Math.ceil((now - spanMs * NOW_AT) / stepMs) * stepMs;
  for (let time = first; time < now + spanMs * (1 - NOW_AT); time += stepMs) {
    nodes.push(
      element("line", { class: "grid", x1: x(time), x2: x(time), y1: 14, y2: LANES.axis }),
      element("text", { class: "tick", x: x(time), y: LANES.axis + 15 }, timeOfDay(time)),
    );
  }
  return nodes;
}

/** Solid while it was used, pale what is still to come, hatched from the planned refresh (or its successor) to expiry. */
function drawToken({ generation, from, to, expiresAt }, { now, x, width, planned }) {
  const y = LANES.tokens + (generation % 2) * (BAR_HEIGHT + 4);
  const end = expiresAt ?? now + 3_600_000;
  const used = Math.min(to ?? now, end);
  const kept = to ?? Math.min(Math.max(planned ?? end, now), end);
  const bar = (name, start, stop) => {
    const left = Math.max(x(start), -10);
    const right = Math.min(x(stop), width + 10);
    return right > left ? [element("rect", { class: name, x: left, y, width: right - left, height: BAR_HEIGHT, rx: 3 })] : [];
  };
  const group = element("g", { class: "token", "data-generation": generation });
  group.append(
    ...bar("used", from, used),
    ...(to === null ? bar("ahead", now, kept) : []),
    ...bar("lead", Math.max(kept, used), end),
    element("text", { class: "generation", x: Math.max(x(from), 0) + 6, y: y + 17 }, `#${generation}`),
  );
  return [group];
}

function drawRefresh({ at, outcome }, x) {
  const [cx, cy] = [x(at), LANES.refreshes];
  const shape =
    outcome === "accepted"
      ? `M${cx} ${cy - 6} ${cx + 6} ${cy + 6}H${cx - 6}Z`
      : `M${cx - 5} ${cy - 5} ${cx + 5} ${cy + 5}M${cx + 5} ${cy - 5} ${cx - 5} ${cy + 5}`;
  return element("path", { class: "refresh", "data-outcome": outcome, d: shape });
}

function drawRequest({ from, to, state, token }, index, { now, x }) {
  const cy = LANES.requests + (index % REQUEST_ROWS) * 11;
  const end = to ?? now;
  return [
    element("line", { class: "span", "data-state": state, x1: x(from), x2: x(end), y1: cy, y2: cy }),
    element("circle", { class: "request", "data-state": state, "data-token": token, cx: x(end), cy, r: 3.5 }),
  ];
}
