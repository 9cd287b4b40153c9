// A small bar beside a number; the number says it, the bar is for the eye.
const WIDTH = 100;
const HEIGHT = 6;

export function Meter({ value, max }: { value: number; max: number }) {
  const filled = max > 0 ? Math.min(1, Math.max(0, value / max)) * WIDTH : 0;
  return (
    <svg className="meter" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <rect className="meter__ground" width={WIDTH} height={HEIGHT} />
      <rect className="meter__value" width={filled} height={HEIGHT} />
    </svg>
  );
}
