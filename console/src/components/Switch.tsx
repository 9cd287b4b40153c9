// One of a few ways to see the same thing.
interface Props {
  label: string;
  active: string;
  options: { value: string; label: string }[];
  onPick: (value: string) => void;
}

export function Switch({ label, active, options, onPick }: Props) {
  return (
    <div className="switch" role="group" aria-label={label}>
      {options.map((one) => (
        <button type="button" key={one.value} aria-pressed={one.value === active} onClick={() => onPick(one.value)}>{one.label}</button>
      ))}
    </div>
  );
}
