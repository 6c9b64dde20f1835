// What to say of an edit that leaves the range the tenant's own pictures cover, and a button that takes the way out.
import { h } from "./dom.js";
import { listed, percent, plain, value } from "./words.js";

/** @param {import("./editor.js").Editor} editor @returns {{words: string, element: HTMLElement}|null} */
export function editWarning(editor) {
  const { result, set } = editor;
  if (!result?.extrapolation) return null;
  const suggested = suggestionOf(result.suggestion);
  if (suggested?.reason === "image_outside") {
    return shown("This picture is unlike your labelled images, so no edit of it can be trusted. Label some like it and fit again.");
  }
  const over = Number(result.extrapolation) - 1;
  const beyond = `This edit goes ${howFar(over)} beyond what your labelled images cover, so details may break.`;
  const near = Object.entries(suggested?.set ?? {}).filter(([name, found]) => name in set && found !== set[name]);
  const left = (suggested?.leave ?? []).filter((name) => name in set);
  if (near.length || (left.length && left.length < Object.keys(set).length)) {
    const ways = [near.length && `set ${listed(near.map(([name, found]) => `${plain(name)} to ${value(found)}`))}`,
      left.length && `leave ${listed(left.map(plain))} as it is`].filter(Boolean).join(" and ");
    return shown(`${beyond} To stay inside, ${ways}.`, "Apply the suggestion",
      () => editor.takeSuggestion(Object.fromEntries([...near, ...left.map((name) => [name, null])])));
  }
  const names = Object.keys(set);
  if (names.length < 2) return shown(`${beyond} Choose a value nearer to what the picture shows.`);
  const last = editor.lastMove.factor in set ? editor.lastMove.factor : names.at(-1);
  return shown(`${beyond} Set fewer factors at once: leave one of ${listed(names.map(plain))} as it is.`,
    `Leave ${plain(last)} as it is`, () => editor.change(last, null));
}

function shown(words, verb, deed) {
  return { words, element: h("div", { class: "alert warn" }, h("p", {}, words), verb && h("p", {}, h("button", { type: "button", onclick: deed }, verb))) };
}

function howFar(over) {
  if (over < 0.01) return "just";
  return over > 1 ? "far" : percent(over);
}

function suggestionOf(header) {
  try {
    return JSON.parse(header);
  } catch {
    return null; // an edge that does not suggest: what is said in general still holds
  }
}

/** Why the edge drew an answer as it did, in words. @param {string|null} reason as the header X-Detail-Reason says */
export function whyDrawn(reason) {
  if (!reason) return "";
  if (reason === "requested") return "as you asked";
  const factors = /^card: decode measured better for (.+)$/.exec(reason)?.[1];
  if (factors) return `the scorecard found that better for ${listed(factors.split(", ").map((name) => plain(decodeURIComponent(name))))}`;
  return reason.startsWith("card: preserve") ? "the scorecard found that better" : reason;
}
