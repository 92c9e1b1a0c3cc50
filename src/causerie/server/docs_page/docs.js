// Shows openapi.json: the routes by their tags, each with its fields and its answers.

const METHODS = ["get", "post", "put", "patch", "delete"];

const element = (name, text = "", ...children) => {
  const made = document.createElement(name);
  made.textContent = text;
  made.append(...children);
  return made;
};

const table = (rows) => {
  const made = element("table");
  for (const row of rows) {
    const line = element("tr");
    row.forEach((text, index) => {
      line.append(index ? element("td", text) : element("td", "", element("code", text)));
    });
    made.append(line);
  }
  return made;
};

/** The schema behind a reference. */
const resolved = (schema, api) =>
  schema?.$ref ? api.components.schemas[schema.$ref.split("/").pop()] : schema ?? {};

/** A schema in a few words, such as "number, 0.25 to 4" or "list of Turn". */
function kind(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  const options = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (options) return [...new Set(options.map(kind))].filter((name) => name !== "null").join(" or ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(", ");
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.type === "array") return `list of ${kind(schema.items)}`;
  const low = schema.minimum ?? schema.exclusiveMinimum, high = schema.maximum;
  const bounds = [low !== undefined ? `from ${low}` : "", high !== undefined ? `to ${high}` : ""];
  return [schema.format === "binary" ? "file" : schema.type ?? "any", ...bounds].filter(Boolean).join(" ");
}

function fields(schema, api) {
  const { properties = {}, required = [] } = resolved(schema, api);
  return Object.entries(properties).map(([name, field]) => {
    const inner = field.default === undefined || field.default === null ? "" : JSON.stringify(field.default);
    const note = required.includes(name) ? "required" : inner && `default ${inner}`;
    return [name, [kind(field), note].filter(Boolean).join("; "), field.description ?? ""];
  });
}

function operation(method, path, facts, api) {
  const made = element("details", "", element("summary", "", element("b", method.toUpperCase()), element("code", path)));
  made.dataset.text = `${path} ${facts.summary ?? ""} ${facts.description ?? ""}`.toLowerCase();
  made.append(element("p", facts.description ?? facts.summary ?? ""));
  const parameters = (facts.parameters ?? []).map(({ name, in: place, schema, description }) => [
    name, `${kind(schema)}, in the ${place}`, description ?? "",
  ]);
  if (parameters.length) made.append(element("h3", "Parameters"), table(parameters));
  for (const [type, { schema }] of Object.entries(facts.requestBody?.content ?? {})) {
    made.append(element("h3", `Body: ${type}`), table(fields(schema, api)));
  }
  for (const [status, { description, content = {} }] of Object.entries(facts.responses)) {
    if (!status.startsWith("2")) continue;
    made.append(element("h3", `Answer ${status}: ${Object.keys(content).join(", ")}`), element("p", description));
    const { schema } = content["application/json"] ?? {};
    if (schema) made.append(schema.$ref ? table(fields(schema, api)) : element("p", kind(schema)));
  }
  const example = method === "get" ? "" : " \\\n  -X " + method.toUpperCase();
  made.append(element("pre", `curl ${location.origin}${path}${example}`));
  return made;
}

const api = await (await fetch("openapi.json")).json();
document.querySelector("#title").textContent = `${api.info.title} ${api.info.version}`;
const sections = new Map();
for (const [path, operations] of Object.entries(api.paths)) {
  for (const method of METHODS.filter((name) => name in operations)) {
    const tag = operations[method].tags?.[0] ?? "other";
    if (!sections.has(tag)) sections.set(tag, element("section", "", element("h2", tag)));
    sections.get(tag).append(operation(method, path, operations[method], api));
  }
}
const used = Object.entries(api.components.schemas).filter(([, schema]) => schema.properties);
const types = element("section", "", element("h2", "types"));
for (const [name, schema] of used) {
  const made = element("details", "", element("summary", "", element("code", name)));
  made.dataset.text = name.toLowerCase();
  made.append(element("p", schema.description ?? ""), table(fields(schema, api)));
  types.append(made);
}
document.querySelector("#routes").replaceChildren(...sections.values(), types);
document.querySelector("#find").addEventListener("input", ({ target }) => {
  for (const made of document.querySelectorAll("details")) {
    made.hidden = !made.dataset.text.includes(target.value.trim().toLowerCase());
  }
});
