// Words and numbers for people: statuses, shares, times, values.

const STATUSES = {
  validating: ["labels being checked", "live"],
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
  ready: ["ready", "good"],
  active: ["active", "good"],
  suspended: ["suspended", "warn"],
  enabled: ["enabled", "good"],
  disabled: ["disabled", "warn"],
  pending: ["on its way", "live"],
  delivered: ["delivered", "good"],
  fitting: ["being fitted", "live"],
  reported: ["reported", "good"],
  canary: ["canary: waits for you", "warn"],
  complete: ["complete", "good"],
  rolled_back: ["rolled back", "warn"],
  better: ["better", "good"],
  equal: ["equal", ""],
  worse: ["worse", "bad"],
};

/** A status as [words, tone]. */
export function status(name) {
  return STATUSES[name] ?? [plain(name), ""];
}

/** "hair_color" -> "hair color", "job.failed" -> "job failed". */
export function plain(name) {
  return String(name).replace(/[_.]/g, " ");
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
  return seconds < 90 ? `${Math.max(0, seconds).toFixed(1)} s` : lasting(seconds);
}

/** 4 -> "4 s", 200 -> "3 min", 90000 -> "25 h". */
export function lasting(seconds) {
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

/** How far off a moment is: "about 40 s"; null where it is past or unknown. */
export function ahead(iso) {
  const seconds = iso ? (new Date(iso) - new Date()) / 1000 : 0;
  return seconds > 0 ? `about ${lasting(Math.max(1, seconds))}` : null;
}

/** 1234567 -> "1.2 MB". */
export function bytes(count) {
  const units = ["B", "kB", "MB", "GB"];
  const step = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, count)) / 3));
  const shown = count / 1000 ** step;
  return `${step && shown < 10 ? shown.toFixed(1) : Math.round(shown)} ${units[step]}`;
}

/** (1, "image") -> "1 image", (2, "image") -> "2 images". */
export function counted(count, noun, plural = `${noun}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? noun : plural}`;
}

/** A share as people compare it: .034 -> ".03", null -> "–". */
export function share(number) {
  if (number === null || number === undefined) return "–";
  return number.toFixed(2).replace(/^(-?)0\./, "$1.");
}

/** ["a", "b", "c"] -> "a, b and c". */
export function listed(words) {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}
