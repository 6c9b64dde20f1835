// What can be done with a version: decide, move production to it, try it.
import { askDecision } from "./decision_dialog.js";
import { h, notify } from "./dom.js";

const SERVABLE = ["passed", "approved"];

/**
 * @param {import("./api.js").Api} api
 * @param {object} version
 * @param {number|undefined} production the version that is served
 * @param {() => void} reload
 * @returns {(HTMLElement|false)[]} buttons
 */
export function versionActions(api, version, production, reload) {
  const open = ["passed", "awaiting_approval"].includes(version.status);
  const decide = (decision) => () => askDecision(api, version, decision, reload);
  const path = `/v1/adapters/${version.adapter_id}/aliases/production`;
  const move = async () => {
    try {
      const [now, tag] = production ? await api.getTagged(path) : [{}, null];
      // a trial of another version goes on
      const trial = Object.fromEntries(["canary", "shadow"].filter((name) => now[name] && (now[name].version ?? now[name]) !== version.version).map((name) => [name, now[name]]));
      await api.put(path, { version: version.version, ...trial }, tag);
      notify(`Production is version ${version.version} now.`);
    } catch (error) {
      notify(error.message);
    }
    reload();
  };
  const servable = SERVABLE.includes(version.status);
  return [
    open && h("button", { type: "button", class: "primary", onclick: decide("approve") }, "Approve"),
    open && h("button", { type: "button", class: "danger", onclick: decide("reject") }, "Reject"),
    servable && version.version !== production && h("button", { type: "button", onclick: move }, "Move production here"),
    servable && h("a", { class: "button", href: `#/edit/${encodeURIComponent(version.adapter)}/${version.version}` }, "Try it"),
  ];
}
