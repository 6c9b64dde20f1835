// An edit as a curl command; the key stays a variable, so that the command can be shared.

/** @param {string} edgeUrl @param {object} edit @param {string} filename */
export function curlOf(edgeUrl, edit, filename) {
  return [
    `curl --fail-with-body -sS ${quoted(`${edgeUrl}/v1/edits`)}`,
    `-H "Authorization: Bearer $HEDDLE_API_KEY" -H "Accept: image/png"`,
    `-F ${quoted(`image=@"${filename.replace(/["\\]/g, "\\$&")}"`)}`,
    `-F ${quoted(`edit=${JSON.stringify(edit)}`)} -o edited.png`,
  ].join(" \\\n  ");
}

function quoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The same as Python with httpx. @param {string} edgeUrl @param {object} edit @param {string} filename */
export function pythonOf(edgeUrl, edit, filename) {
  return [
    "import json, os, pathlib, httpx",
    "",
    `edit = json.loads(${pythonString(JSON.stringify(edit))})`,
    `image = pathlib.Path(${pythonString(filename)})`,
    "answer = httpx.post(",
    `    ${pythonString(`${edgeUrl}/v1/edits`)},`,
    "    headers={\"Authorization\": f\"Bearer {os.environ['HEDDLE_API_KEY']}\", \"Accept\": \"image/png\"},",
    "    files={\"image\": image.read_bytes()},",
    "    data={\"edit\": json.dumps(edit)},",
    ")",
    "answer.raise_for_status()",
    "pathlib.Path(\"edited.png\").write_bytes(answer.content)",
  ].join("\n");
}

// every string of JSON is one of Python
function pythonString(text) {
  return JSON.stringify(text);
}
