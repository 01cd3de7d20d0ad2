// The editor's styles as constructed style sheets: style-mod writes a <style> into a document, which the page's policy
// refuses, and constructs sheets in a shadow root alone.
import { StyleModule } from "style-mod";

const sheets = new Map<StyleModule, CSSStyleSheet>();

export function constructStyles(): void {
  StyleModule.mount = (_root, given) => {
    const modules = Array.isArray(given) ? given : [given as StyleModule];
    for (const module of modules) {
      if (sheets.has(module)) continue;
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(module.getRules());
      sheets.set(module, sheet);
    }
    // rules of later modules take precedence
    const mine = new Set(sheets.values());
    const now = modules.map((module) => sheets.get(module)!);
    const before = document.adoptedStyleSheets.filter((sheet) => mine.has(sheet) && !now.includes(sheet));
    const others = document.adoptedStyleSheets.filter((sheet) => !mine.has(sheet));
    document.adoptedStyleSheets = [...others, ...before, ...now];
  };
}
