// Clocks of a page that a test can move.

/** A night, a wrong time zone, a battery that went flat. */
export const HOURS_MS = 3 * 3600 * 1000;

/**
 * Gives the page two clocks that can be moved one by one, `kit.clocks`, in milliseconds added to the real ones, or both by
 * `kit.later(seconds)`. To be called before the library is loaded.
 */
export const setClocks = ({ page }, { wall = 0 } = {}) =>
  page.run((kit, wall) => {
    const { now } = Date;
    const mono = performance.now.bind(performance);
    kit.clocks = { wall, mono: 0 };
    kit.later = (seconds) => {
      kit.clocks.wall += seconds * 1000;
      kit.clocks.mono += seconds * 1000;
    };
    Date.now = () => now() + kit.clocks.wall;
    performance.now = () => mono() + kit.clocks.mono;
  }, wall);

/** Moves them. */
export const move = ({ page }, clocks) =>
  page.run((kit, { wall = 0, mono = 0 }) => {
    kit.clocks.wall += wall;
    kit.clocks.mono += mono;
  }, clocks);
