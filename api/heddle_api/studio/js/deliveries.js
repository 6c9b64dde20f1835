// What was sent to a webhook endpoint: event by event, how it went, and sending one again.
import { alertOf } from "./alert.js";
import { fill, h, notify } from "./dom.js";
import { moment, plain, status } from "./words.js";

const MOST = 50;

/** A fold that is filled when it is opened. @param {import("./api.js").Api} api @param {{id: string, url: string}} endpoint */
export function deliveries(api, endpoint) {
  const path = `/v1/webhook_endpoints/${endpoint.id}/deliveries`;
  const body = h("div", { class: "stack", "aria-live": "polite" });
  const load = async () => {
    try {
      const found = await api.list(path, MOST);
      fill(body, found.length ? table(found, again) : h("p", { class: "small muted" }, "Nothing was sent yet; the next event will be."),
        h("p", {}, h("button", { type: "button", onclick: load }, "Look again")));
    } catch (error) {
      fill(body, alertOf(error));
    }
  };
  const again = async (delivery) => {
    try {
      await api.post(`${path}/${delivery.id}/redeliver`);
      notify("It is sent once more.");
    } catch (error) {
      notify(error.message);
    }
    load();
  };
  const fold = h("details", {}, h("summary", {}, "Deliveries"), body);
  fold.addEventListener("toggle", () => fold.open && load());
  return fold;
}

function table(found, again) {
  return h("div", { class: "table-frame" }, h("table", { class: "table snug" },
    h("thead", {}, h("tr", {}, ["Event", "How it went", "Tried", "Again"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, found.map((delivery) => {
      const [words, tone] = status(delivery.status);
      const why = delivery.status === "delivered" ? `answered ${delivery.response_status}` : delivery.reason;
      const next = delivery.next_attempt_at && delivery.attempts > 0 && ` Next try ${moment(delivery.next_attempt_at)}.`;
      return h("tr", {},
        h("th", { scope: "row" }, plain(delivery.event), h("span", { class: "small muted block" }, moment(delivery.created_at))),
        h("td", {}, h("span", { class: `badge ${tone}` }, words), (why || next) && h("span", { class: "small muted block" }, why, next)),
        h("td", { class: "number" }, delivery.attempts === 1 ? "once" : `${delivery.attempts} times`),
        h("td", {}, h("button", { type: "button", "aria-label": `Send ${plain(delivery.event)} of ${moment(delivery.created_at)} again`, onclick: () => again(delivery) }, "Send again")));
    }))));
}
