// The timeline as a table, for whoever does not see the picture, and for reading exact times.
import { h } from "../dom.js";
import { address } from "../router.js";
import { t } from "../texts.js";
import { short } from "../times.js";
import { hostsText } from "../words.js";
import { purposeText } from "./details.js";
import { finder, leaseFits } from "./rows.js";

const MOST = 500;

/** All that is reserved in the part of time that is seen, by start. */
export function tableOf(data, window, search) {
  const words = search.trim().toLowerCase();
  const fits = finder(data, search);
  const seen = [...data.entries, ...data.sleeps]
    .filter((entry) => entry.start < window.end && entry.end > window.start && fits(entry))
    .sort((one, other) => one.start - other.start || one.id - other.id);
  const rows = seen.slice(0, MOST).map((entry) => h("tr", {},
    h("td", {}, h("a", { href: address("leases", entry.id) }, [entry.id, entry.lease.label].filter(Boolean).join(" "))),
    h("td", {}, entry.lease.owner),
    h("td", {}, purposeText(entry)),
    h("td", {}, short(entry.start)),
    h("td", {}, entry.end === Infinity ? t("unlimited") : short(entry.end)),
    h("td", {}, hostsText(data.hostNames(entry)))));
  const outages = data.outages
    .filter((outage) => outage.start < window.end && outage.end > window.start && fits(outage))
    .map((outage) => h("tr", {},
      h("td", {}, outage.window ? h("a", { href: address("site", "maintenance") }, t("maintenanceNumber", { id: outage.window })) : "–"),
      h("td", {}, "–"),
      h("td", {}, [t(`outage_${outage.status}`), outage.reason].filter(Boolean).join(": ")),
      h("td", {}, short(outage.start)),
      h("td", {}, outage.end === Infinity ? t("unlimited") : short(outage.end)),
      h("td", {}, hostsText(data.hostNames(outage)))));
  const waiting = data.waiting.filter(({ lease }) => leaseFits(lease, words)).map((entry) => h("tr", {},
    h("td", {}, h("a", { href: address("leases", entry.lease.id) }, [entry.lease.id, entry.lease.label].filter(Boolean).join(" "))),
    h("td", {}, entry.lease.owner),
    h("td", {}, t("waitsAt", { place: entry.place })),
    h("td", {}, entry.expected ? t("expectedAbout", { time: short(entry.expected) }) : "–"), h("td", {}, "–"), h("td", {}, "–")));
  if (!rows.length && !waiting.length && !outages.length) return h("p", { class: "empty" }, t("nothing"));
  const more = seen.length > MOST ? h("p", { class: "hint" }, t("firstShown", { shown: MOST, count: seen.length })) : null;
  return h("div", {}, more, h("table", { class: "list" },
    h("caption", { class: "hidden" }, t("asTable")),
    h("thead", {}, h("tr", {}, ["id", "owner", "purpose", "start", "end", "hosts"].map((name) => h("th", { scope: "col" }, t(name))))),
    h("tbody", {}, rows, outages, waiting)));
}
