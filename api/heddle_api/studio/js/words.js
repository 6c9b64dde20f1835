// Words and numbers for people: statuses, shares, times, values.

const STATUSES = {
  validating: ["waiting for the labels to be checked", "live"],
  queued: ["queued", "live"],
  running: ["running", "live"],
  scoring: ["scoring", "live"],
  awaiting_approval: ["needs your approval", "warn"],
  succeeded: ["succeeded", "good"],
  failed: ["failed", "bad"],
  cancelled: ["cancelled", ""],
  passed: ["passed its gate", "good"],
  approved: ["approved", "good"],
  rejected: ["rejected", "bad"],
  refused: ["refused by its gate", "bad"],
  erased: ["erased", ""],
};

/** A status as [words, tone]. */
export function status(name) {
  return STATUSES[name] ?? [plain(name), ""];
}

/** "hair_color" -> "hair color". */
export function plain(name) {
  return String(name).replaceAll("_", " ");
}

/** .934 -> "93 %". */
export function percent(share) {
  return `${Math.round(share * 100)} %`;
}

/** A reading's or an edit's value: booleans are on and off, numbers are kept short. */
export function value(given) {
  if (given === true) return "on";
  if (given === false) return "off";
  if (typeof given === "number") return String(Math.round(given * 1000) / 1000);
  return String(given);
}

/** "14:03:21", in the reader's own time zone. */
export function clock(iso) {
  return new Date(iso).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

/** "22 Nov, 14:03". */
export function moment(iso) {
  return new Date(iso).toLocaleString([], { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
}

/** Seconds between two times, or until now: "4.2 s". */
export function duration(from, to) {
  const seconds = ((to ? new Date(to) : new Date()) - new Date(from)) / 1000;
  return seconds < 90 ? `${Math.max(0, seconds).toFixed(1)} s` : `${Math.round(seconds / 60)} min`;
}
