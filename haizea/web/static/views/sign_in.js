// Signing in: with a token or, where an OpenNebula knows who one is, with name and password.
import { Away, signIn } from "../api.js";
import { field, fill, h } from "../dom.js";
import { t } from "../texts.js";

export function showSignIn(body, isOver, whenSignedIn) {
  document.title = `${t("signIn")} – ${t("appName")}`;
  const takesPasswords = document.documentElement.dataset.passwords === "yes";
  const said = h("p", { class: "error", role: "alert" });
  const form = h("form", { class: "sign-in card", method: "post", novalidate: true });
  const controls = h("div", { class: "credentials" });
  let byPassword = false;

  const token = h("input", {
    id: "token", type: "password", autocomplete: "off", spellcheck: "false", autocapitalize: "off", required: true,
  });
  const user = h("input", { id: "user", autocomplete: "username", autocapitalize: "off", required: true });
  const password = h("input", { id: "password", type: "password", autocomplete: "current-password", required: true });

  const choose = (chosen) => {
    byPassword = chosen;
    said.textContent = "";
    fill(controls, byPassword
      ? [field(t("user"), user), field(t("password"), password, t("passwordHint"))]
      : field(t("token"), token, t("tokenHint")));
    for (const tab of tabs) tab.setAttribute("aria-pressed", String((tab.value === "password") === chosen));
    (byPassword ? user : token).focus();
  };
  const tab = (value, text) =>
    h("button", { type: "button", value, onclick: () => choose(value === "password") }, text);
  const tabs = takesPasswords ? [tab("password", t("byPassword")), tab("token", t("byToken"))] : [];

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    said.textContent = "";
    const credentials = byPassword
      ? { user: user.value.trim(), password: password.value } : { token: token.value.trim() };
    if (Object.values(credentials).some((value) => !value)) {
      said.textContent = t(byPassword ? "wrongPassword" : "wrongToken");
      return;
    }
    try {
      whenSignedIn(await signIn(credentials));
    } catch (error) {
      if (error instanceof Away) said.textContent = t("away");
      else if (error.status === 401) said.textContent = t(byPassword ? "wrongPassword" : "wrongToken");
      else said.textContent = error.message;
    }
  });
  fill(form,
    h("h1", {}, h("span", { class: "logo" }), t("appName")),
    h("p", { class: "hint" }, isOver ? t("sessionOver") : t("signInAbout")),
    tabs.length ? h("div", { class: "segments" }, tabs) : null,
    controls, said,
    h("button", { class: "button primary" }, t("signIn")));
  fill(body, h("main", { id: "main", class: "sign-in-page" }, form));
  choose(takesPasswords);
}
