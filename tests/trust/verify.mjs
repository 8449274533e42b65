// Runs the verifier of the page on cases that come as JSON lines: {"file", "key", "earlier"} -> {"faults", …}
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const page = readFileSync(process.argv[2], "utf8");
const [, source] = page.match(/<script id="verifier">([\s\S]*?)<\/script>/);
const { verifyLog, openNote, leadsToRoot } = new Function(`${source}; return { verifyLog, openNote, leadsToRoot };`)();
for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  console.log(JSON.stringify(await verifyLog(asked.file, asked)));
}
