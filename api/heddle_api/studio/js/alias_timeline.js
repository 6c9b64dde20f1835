// Where a version's aliases stood, who decided about it, and who moved production, newest first.
import { fill, h } from "./dom.js";
import { moment, plain } from "./words.js";

const MOVES = { move_alias: "moved, or a trial beside it changed,", roll_back: "rolled back" };
const MOST = 50;

/** @param {import("./api.js").Api} api @param {object} adapter @param {object} version */
export function aliasTimeline(api, adapter, version) {
  const list = h("ol", { class: "timeline" }, h("li", {}, h("span", { class: "muted" }, "Loading …")));
  load(api, adapter, version).then((lines) => fill(list, lines), (error) => fill(list, h("li", {}, error.message)));
  return list;
}

async function load(api, adapter, version) {
  const path = `/v1/adapters/${adapter.id}`;
  const [aliases, decisions, moves] = await Promise.all([
    Promise.all(Object.keys(adapter.aliases).map((alias) => api.get(`${path}/aliases/${alias}`))),
    api.getIfThere(`${path}/versions/${version.version}/approvals`),
    Promise.all(Object.keys(MOVES).map((action) => eventsOf(api, action))),
  ]);
  const lines = [
    [version.created_at, `Version ${version.version} was fitted; the gate said ${plain(version.verdict)}.`],
    ...(decisions?.data ?? []).map((each) => [each.created_at, `${each.decision === "approve" ? "Approved" : "Rejected"} with key ${each.key_id}${each.comment ? `: “${each.comment}”` : "."}`]),
    ...aliases.map((each) => [each.updated_at, `${each.alias} came to version ${each.version}${each.previous_version ? `, from version ${each.previous_version}` : ""}.`]),
    ...moves.flat().filter(({ target }) => of(adapter, target)).map((each) => [each.created_at,
      `${/\/aliases\/([^/]+)$/.exec(each.target)?.[1] ?? "An alias"} was ${MOVES[each.action]} with key ${each.key_id}.`]),
  ];
  return lines.sort(([one], [other]) => new Date(other) - new Date(one)).map(([time, words]) =>
    h("li", {}, h("time", { datetime: time }, moment(time)), h("span", {}, words)));
}

/** The trail's newest events of a kind; none for a key that may not read it. */
async function eventsOf(api, action) {
  try {
    return await api.list(`/v1/audit_events?action=${action}`, MOST);
  } catch (error) {
    if (error.status === 403) return [];
    throw error;
  }
}

function of(adapter, target) {
  const [, found] = /^\/v1\/adapters\/([^/]+)\//.exec(target) ?? [];
  return found !== undefined && [adapter.id, adapter.name].includes(decodeURIComponent(found));
}
