// Where a version's aliases stood and who decided about it, as far as the server keeps it.
import { fill, h } from "./dom.js";
import { moment, plain } from "./words.js";

/** @param {import("./api.js").Api} api @param {object} adapter @param {object} version */
export function aliasTimeline(api, adapter, version) {
  const list = h("ol", { class: "timeline" }, h("li", {}, h("span", { class: "muted" }, "Loading …")));
  load(api, adapter, version).then((lines) => fill(list, lines), (error) => fill(list, h("li", {}, error.message)));
  return list;
}

async function load(api, adapter, version) {
  const path = `/v1/adapters/${adapter.id}`;
  const [aliases, decisions] = await Promise.all([
    Promise.all(Object.keys(adapter.aliases).map((alias) => api.get(`${path}/aliases/${alias}`))),
    api.getIfThere(`${path}/versions/${version.version}/approvals`),
  ]);
  const lines = [
    [version.created_at, `Version ${version.version} was fitted; the gate said ${plain(version.verdict)}.`],
    ...(decisions?.data ?? []).map((each) => [each.created_at, `${each.decision === "approve" ? "Approved" : "Rejected"} with key ${each.key_id}${each.comment ? `: “${each.comment}”` : "."}`]),
    ...aliases.map((each) => [each.updated_at, `${each.alias} came to version ${each.version}${each.previous_version ? `, from version ${each.previous_version}` : ""}.`]),
  ];
  return lines.sort(([one], [other]) => new Date(other) - new Date(one)).map(([time, words]) =>
    h("li", {}, h("time", { datetime: time }, moment(time)), h("span", {}, words)));
}
