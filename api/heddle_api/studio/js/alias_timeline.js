// What became of an adapter's aliases and of one version of it: to which version, by whom, when and why; newest first.
import { fill, h } from "./dom.js";
import { moment, percent, plain } from "./words.js";

const MOST = 50;
const HOW = {
  moved: "", approved: "by an approval", rolled_back: "rolled back", rollout: "by a rollout of a new base", rollout_undone: "by a rollout that was taken back",
  erased: "by an erasure",
};

/** @param {import("./api.js").Api} api @param {object} adapter @param {object} version */
export function aliasTimeline(api, adapter, version) {
  const list = h("ol", { class: "timeline" }, h("li", {}, h("span", { class: "muted" }, "Loading …")));
  load(api, adapter, version).then((lines) => fill(list, lines), (error) => fill(list, h("li", {}, error.message)));
  return list;
}

async function load(api, adapter, version) {
  const path = `/v1/adapters/${adapter.id}`;
  const [moves, decisions] = await Promise.all([
    api.list(`${path}/alias_moves`, MOST), api.getIfThere(`${path}/versions/${version.version}/approvals`),
  ]);
  const lines = [
    [version.created_at, `Version ${version.version} was fitted; the gate said ${plain(version.verdict)}.`],
    // an approval is told by the move it makes
    ...(decisions?.data ?? []).filter(({ decision }) => decision !== "approve").map((each) =>
      [each.created_at, said(`Version ${version.version} was rejected`, each)]),
    ...moves.map((each) => [each.created_at, said(told(each), each)]),
  ];
  return lines.sort(([one], [other]) => new Date(other) - new Date(one)).map(([time, words]) =>
    h("li", {}, h("time", { datetime: time }, moment(time)), h("span", {}, words)));
}

/** Where an alias came to, and how. */
function told({ alias, version, from_version: from, canary, shadow, reason }) {
  const how = HOW[reason] ? `, ${HOW[reason]}` : "";
  if (version === null) return `${alias} was taken away from version ${from}${how}`;
  const trial = [canary && `version ${canary.version} edits ${percent(canary.weight)} of images on trial`, shadow && `version ${shadow} draws along unseen`].filter(Boolean);
  if (version === from) return `${alias} stayed at version ${version}: ${trial.length ? trial.join(", ") : "the trial beside it ended"}`;
  return `${alias} came to version ${version}${from ? ` from version ${from}` : ""}${how}${trial.length ? `; ${trial.join(", ")}` : ""}`;
}

/** The same with who did it and what they said about it. */
function said(words, { key_name: name, key_id: id, comment }) {
  return `${words}${id ? `, with key ${name ?? id}` : ""}${comment ? `: “${comment}”` : "."}`;
}
