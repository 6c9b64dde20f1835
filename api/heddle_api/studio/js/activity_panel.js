// Activity: the audit trail in words.
import { h } from "./dom.js";
import { empty, loaded } from "./loaded.js";
import { moment, plain } from "./words.js";

const MOST = 100;

/** @param {import("./api.js").Api} api */
export function activityPanel(api) {
  return loaded("Reading what was done …", async () => {
    const [events, keys] = await Promise.all([api.list("/v1/audit_events", MOST), api.list("/v1/api_keys")]);
    const names = new Map(keys.map(({ id, name }) => [id, name]));
    if (!events.length) return [empty("Nothing was changed yet", "Every change that a key makes is noted here, with who made it.")];
    return [h("section", { class: "panel", "aria-label": "Activity" }, h("ol", { class: "timeline" }, events.map((event) => line(event, names))),
      events.length === MOST && h("p", { class: "small muted" }, `The newest ${MOST}; GET /v1/audit_events reads further back.`))];
  });
}

function line(event, names) {
  const who = event.actor === "operator" ? "an operator" : names.has(event.key_id) ? `the key ${names.get(event.key_id) || event.key_id}` : event.key_id;
  const words = plain(event.action);
  return h("li", {}, h("time", { datetime: event.created_at }, moment(event.created_at)),
    h("span", {}, h("strong", {}, words.charAt(0).toUpperCase() + words.slice(1)), ` by ${who}`,
      h("span", { class: "small muted block" }, event.target)));
}
