// Activity: the audit trail in words.
import { h } from "./dom.js";
import { empty, loaded } from "./loaded.js";
import { moment, plain } from "./words.js";

const MOST = 100;

/** @param {import("./api.js").Api} api */
export function activityPanel(api) {
  return loaded("Reading what was done …", async () => {
    const events = await api.list("/v1/audit_events", MOST);
    if (!events.length) return [empty("Nothing was changed yet", "Every change that a key makes is noted here, with who made it.")];
    return [h("section", { class: "panel", "aria-label": "Activity" }, h("ol", { class: "timeline" }, events.map(line)),
      events.length === MOST && h("p", { class: "small muted" }, `The newest ${MOST}; GET /v1/audit_events reads further back.`))];
  });
}

function line(event) {
  const who = event.actor === "operator" ? "an operator" : `key ${event.key_id}`;
  const words = plain(event.action);
  return h("li", {}, h("time", { datetime: event.created_at }, moment(event.created_at)),
    h("span", {}, h("strong", {}, words.charAt(0).toUpperCase() + words.slice(1)), ` by ${who}`,
      h("span", { class: "small muted block" }, event.target)));
}
