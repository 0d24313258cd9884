// A request in other words: as a command, as YAML, as a call of curl.

const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${String(text).replaceAll("'", "'\\''")}'`);
const yamlText = (text) => (/^[A-Za-z][\w .-]*$/.test(text) && !/^(yes|no|on|off|true|false|null|y|n|~)$/i.test(text) ? text : JSON.stringify(text));

/** The service's own address, without the page's. */
const site = () => location.href.replace(/[?#].*$/, "").replace(/\/$/, "");

/** Tell whether that is where the commands look for a service by themselves. */
const isUsual = () => location.protocol === "http:" && location.host === "127.0.0.1:42493" && location.pathname === "/";

const startOf = (body) => ({ ar: body.start, immediate: "now" })[body.kind] || "best-effort";

/** The command that asks for this; with several sets of nodes, one that reads it from a file. */
export function asCommand(body) {
  const request = isUsual() ? "haizea request" : `haizea request -s ${quoted(site())}`;
  if (body.nodes.length > 1) return `${request} -f - <<'EOF'\n${JSON.stringify(body, null, 2)}\nEOF`;
  const [set] = body.nodes;
  const { CPU = 0, Memory = 0, ...others } = set.resources;
  const start = body.kind === "deadline"
    ? ["--deadline", quoted(body.deadline), ...(body.after ? ["--after", quoted(body.after)] : [])]
    : ["-t", quoted(startOf(body).replace("best-effort", "best_effort"))];
  const parts = [request, ...start, "-d", quoted(String(body.duration)), "-n", set.count, "-c", `${CPU}%`, "-m", Memory];
  for (const [name, amount] of Object.entries(others)) parts.push("-r", quoted(`${name}:${amount}`));
  if (body.preemptible !== undefined) parts.push(body.preemptible ? "--preemptible" : "--non-preemptible");
  if (body.hosts) parts.push("--hosts", body.hosts);
  if (body.image) parts.push("-i", quoted(body.image.name), "-z", body.image.size_mb);
  if (body.label) parts.push("-L", quoted(body.label));
  return parts.join(" ");
}

/** A document that 'haizea request -f' and workload files take. */
export function asYaml(body) {
  const sets = body.nodes.map((set) => {
    const amounts = Object.entries(set.resources).map(([name, amount]) => `, ${yamlText(name)}: ${amount}`);
    return `{count: ${set.count}${amounts.join("")}}`;
  });
  const times = body.kind === "deadline"
    ? ["after", "deadline"].filter((name) => body[name]).map((name) => `${name}: ${JSON.stringify(body[name])}`)
    : [`start: ${startOf(body) === body.start ? JSON.stringify(body.start) : startOf(body)}`];
  const lines = [...times, `duration: ${yamlText(String(body.duration))}`];
  lines.push(sets.length === 1 ? `nodes: ${sets[0]}` : `nodes:\n${sets.map((set) => `  - ${set}`).join("\n")}`);
  if (body.preemptible !== undefined) lines.push(`preemptible: ${body.preemptible}`);
  if (body.hosts) lines.push(`hosts: ${body.hosts}`);
  if (body.image) lines.push(`image: {id: ${yamlText(body.image.name)}, size: ${body.image.size_mb}}`);
  if (body.label) lines.push(`label: ${yamlText(body.label)}`);
  return `${lines.join("\n")}\n`;
}

/** A call for programs; the token comes from the file where the commands find it. */
export function asCurl(body) {
  return [
    `printf 'Authorization: Bearer %s' "$(cat ~/.haizea/token)" |`,
    `curl -sS -H @- ${quoted(`${site()}/v1/leases`)} -H 'Content-Type: application/json' \\`,
    `    -d ${quoted(JSON.stringify(body))}`,
  ].join("\n");
}
