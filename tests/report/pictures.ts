/**
 * The pictures of the documents: a page in light, in dark and at the width of a phone, into
 * docs/NAME.png, NAME-dark.png and NAME-phone.png. They are taken where `BTBLOCKER_SCREENSHOT=1` and
 * made small by pngquant.
 */
import { fileURLToPath } from "node:url";
import type { BrowserContextOptions, Page } from "playwright-core";

export const WANTS_PICTURES = Deno.env.get("BTBLOCKER_SCREENSHOT") === "1";

const DOCS = fileURLToPath(new URL("../../docs/", import.meta.url));
/** A phone's picture is cut here: the page goes on, the reader has seen how. */
const PHONE_HEIGHT = 1_500;

const LOOKS: readonly (readonly [suffix: string, BrowserContextOptions])[] = [
  ["", { viewport: { width: 1240, height: 900 }, colorScheme: "light" }],
  ["-dark", { viewport: { width: 1240, height: 900 }, colorScheme: "dark" }],
  ["-phone", { viewport: { width: 390, height: PHONE_HEIGHT }, colorScheme: "light" }],
];

/** @param open gives the page when all that is to be seen is there */
export async function takePictures(
  name: string,
  open: (options: BrowserContextOptions) => Promise<Page>,
): Promise<void> {
  for (const [suffix, options] of LOOKS) {
    const page = await open({ ...options, timezoneId: "UTC" });
    const path = `${DOCS}${name}${suffix}.png`;
    await page.screenshot({ path, fullPage: suffix !== "-phone", animations: "disabled" });
    await page.context().close();
    const args = ["--force", "--speed=1", "--strip", `--output=${path}`, "64", path];
    const { success, stderr } = await new Deno.Command("pngquant", { args }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    console.log(`written: ${path}, ${Math.ceil(Deno.statSync(path).size / 1000)} kB`);
  }
}
