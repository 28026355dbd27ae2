// What the local EKS really holds: every access entry of every cluster, with scope and time left.

import { h, icon, keyed, setText } from "./dom.js";
import { clockSeconds, clockTime, dayIn, now, tickEnds } from "./time.js";

const MODES = {
  API: "access entries",
  API_AND_CONFIG_MAP: "access entries, aws-auth",
  CONFIG_MAP: "aws-auth only",
};
const STATES = {
  PROVISIONING: "being set up",
  ACTIVE: "active",
  REVOKING: "being removed",
  SCHEDULED: "starts later",
};
const MINE = "M2.5 8.6l3.4 3.4 7.6-8";
const OTHERS = "M3.5 7h9v6.5h-9Z M5.5 7V5a2.5 2.5 0 0 1 5 0v2";

export function eks(app) {
  const list = h("div", {
    class: "clusters scroll",
    tabindex: "0",
    role: "group",
    "aria-label": "Clusters",
  });
  const element = h(
    "section",
    { class: "eks panel", id: "panel-eks", "aria-labelledby": "eks-title" },
    h("header", {}, h("h2", { id: "eks-title" }, "In EKS now"), app.clock.element),
    list,
  );
  const news = new Map();
  let before = null;

  function render() {
    const clusters = app.eks?.clusters ?? null;
    if (!clusters || clusters.length === 0) {
      keyed(list, [{ name: "none" }], {
        key: () => "none",
        sign: () => String(clusters),
        make: () =>
          h(
            "p",
            { class: "empty" },
            clusters ? "The policy file names no cluster." : "EKS has not been read yet.",
          ),
      });
      return;
    }
    notice(clusters);
    keyed(list, clusters, {
      key: (cluster) => cluster.name,
      sign: (cluster) =>
        JSON.stringify([cluster.region, cluster.account, cluster.authentication_mode]),
      make: clusterNode,
    });
    for (const [place, cluster] of clusters.entries()) fill(list.children[place], cluster);
    tickEnds(list);
  }

  /** Remembers what came and went between two readings, to say it under the cluster's name. */
  function notice(clusters) {
    const held = new Map(
      clusters.map((one) => [
        one.name,
        new Map(one.entries.map((entry) => [entry.principal_arn, entry])),
      ]),
    );
    if (before) {
      for (const [name, entries] of held) {
        const had = before.get(name) ?? new Map();
        const stamp = { at: now() };
        for (const [arn, entry] of entries) {
          const old = had.get(arn);
          const words = change(old, entry);
          if (words) news.set(name, { ...stamp, words: `${shortArn(arn)} ${words}` });
        }
        for (const arn of had.keys()) {
          if (!entries.has(arn)) news.set(name, { ...stamp, words: `${shortArn(arn)} is gone` });
        }
      }
    }
    before = held;
  }

  function fill(node, cluster) {
    const last = news.get(cluster.name);
    const time = last ? clockSeconds(last.at, app.viewer.tz) : "";
    setText(node.querySelector(".news"), last ? `${last.words} · ${time}` : "");
    const own = (entry) => (entry.owner === "bot" ? 0 : 1);
    const sorted = [...cluster.entries].sort((one, two) => own(one) - own(two));
    const rows = sorted.length ? sorted : [{ principal_arn: "none" }];
    keyed(node.querySelector(".entries"), rows, {
      key: (entry) => entry.principal_arn,
      sign: (entry) => JSON.stringify([entry, app.viewer.tz, dayIn(now(), app.viewer.tz)]),
      make: (entry, isNew) => {
        if (entry.principal_arn === "none") return noEntry(cluster);
        const made = entryNode(entry);
        if (isNew && last) made.classList.add("arrived");
        return made;
      },
    });
  }

  function entryNode(entry) {
    const mine = entry.owner === "bot";
    const policies = entry.policies.map(policyNode);
    const groups = entry.kubernetes_groups.map((group) =>
      h("li", {}, "Kubernetes group ", h("code", {}, group)),
    );
    const given = [...policies, ...groups];
    return h(
      "li",
      { class: mine ? "entry mine" : "entry", "data-principal": entry.principal_arn },
      h(
        "p",
        { class: "entry-head" },
        h("code", { class: "principal" }, shortArn(entry.principal_arn)),
        h(
          "span",
          { class: "owner" },
          icon(mine ? MINE : OTHERS),
          mine ? "by this bot" : "managed by others",
        ),
      ),
      given.length
        ? h("ul", { class: "given" }, given)
        : h(
            "p",
            { class: "quiet" },
            entry.type === "STANDARD" ? "No policy, no group." : `Type ${entry.type}`,
          ),
      entry.grants.map((grant) => grantNode(grant)),
      entry.backstop_at
        ? h(
            "p",
            { class: "quiet backstop" },
            `Backstop: deleted at ${until(new Date(entry.backstop_at), app.viewer.tz)} even without the bot.`,
          )
        : null,
      h(
        "details",
        { "data-details": "arn" },
        h("summary", {}, "ARN and tags"),
        h("p", { class: "arn" }, h("code", {}, entry.principal_arn)),
        h(
          "ul",
          {},
          h("li", {}, `type ${entry.type}`),
          Object.entries(entry.tags).map(([key, value]) =>
            h("li", {}, h("code", {}, `${key} = ${value}`)),
          ),
        ),
      ),
    );
  }

  function grantNode(grant) {
    const who = app.directory?.name(grant.requester) ?? grant.requester;
    const ends = grant.ends_at ? new Date(grant.ends_at) : null;
    return h(
      "div",
      { class: "grant" },
      h(
        "p",
        { class: "left" },
        ends
          ? h("span", { class: "time-left", "data-ends": grant.ends_at })
          : h("span", { class: "time-left" }, "not confirmed yet"),
        ends ? h("span", { class: "until" }, `until ${until(ends, app.viewer.tz)}`) : null,
      ),
      h(
        "p",
        { class: "quiet" },
        `${who} · ${grant.level} · ${STATES[grant.state] ?? grant.state} · ${grant.id}`,
      ),
    );
  }

  return { element, render };
}

function clusterNode(cluster) {
  const mode = MODES[cluster.authentication_mode] ?? cluster.authentication_mode;
  return h(
    "article",
    { class: "cluster", "aria-label": cluster.name },
    h(
      "header",
      {},
      h("h3", {}, cluster.name),
      h("p", { class: "news", "aria-live": "polite" }),
      h("p", { class: "quiet" }, [cluster.region, cluster.account, mode].join(" · ")),
    ),
    h("ul", { class: "entries" }),
  );
}

function until(end, tz) {
  const today = dayIn(end, tz) === dayIn(now(), tz);
  return today ? clockTime(end, tz) : `${dayIn(end, tz)} ${clockTime(end, tz)}`;
}

/** What became of an entry between two readings; empty for nothing. */
function change(old, entry) {
  if (!old) return entry.policies.length ? "has access" : "was made";
  if (JSON.stringify(old.policies) === JSON.stringify(entry.policies)) return "";
  if (!old.policies.length) return "has access";
  return entry.policies.length ? "has other access" : "lost its access";
}

function noEntry(cluster) {
  const closed = cluster.authentication_mode === "CONFIG_MAP";
  return h(
    "li",
    { class: "empty" },
    closed ? "It holds no access entries." : "No access entries. Nobody has access through one.",
  );
}

function policyNode(policy) {
  const where =
    policy.scope === "cluster"
      ? [h("span", { class: "scope whole" }, "the whole cluster")]
      : policy.namespaces.map((name) => h("code", { class: "scope" }, name));
  const label =
    policy.scope === "cluster" ? "" : policy.namespaces.length === 1 ? "namespace " : "namespaces ";
  return h(
    "li",
    {},
    h("span", { class: "policy" }, policy.policy),
    " ",
    h("span", { class: "scopes" }, label, where),
  );
}

/** `role/eks-jit/ana` of an IAM ARN. */
const shortArn = (arn) => arn.split(":").slice(5).join(":") || arn;
