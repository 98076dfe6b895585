//! Invented vehicles of existing makes, with VINs that pass the check of 49 CFR 565.15.

use super::scenario::Scenario;

/// The first eight characters of the VIN, make, model, body, trim.
const MODELS: &[(&str, &str, &str, &str, &str)] = &[
    ("5FNRL6H5", "Honda", "ODYSSEY", "Sports Van", "EX Auto"),
    ("1HGCV1F3", "Honda", "ACCORD", "Sedan", "LX 1.5T"),
    ("4T1G11AK", "Toyota", "CAMRY", "Sedan", "SE"),
    ("2T3P1RFV", "Toyota", "RAV4", "SUV", "XLE AWD"),
    ("1FTFW1E5", "Ford", "F-150", "Crew Cab Pickup", "XLT"),
    ("1C4RJFBG", "Jeep", "GRAND CHEROKEE", "SUV", "Limited"),
    ("3VWC57BU", "Volkswagen", "JETTA", "Sedan", "S"),
    ("KM8J3CA4", "Hyundai", "TUCSON", "SUV", "Value"),
    ("1N4BL4BV", "Nissan", "ALTIMA", "Sedan", "2.5 S"),
    ("5YJ3E1EA", "Tesla", "MODEL 3", "Sedan", "Standard Range"),
];

/// The letters of the model years in a VIN, from 2016 on.
const YEARS: [char; 9] = ['G', 'H', 'J', 'K', 'L', 'M', 'N', 'P', 'R'];

/// The weights of a VIN's characters; the ninth is the check digit.
const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
const CHECK: usize = 8;

/// Sets the variables `vin`, `year`, `make`, `model`, `body`, `trim`, `color` and `odometer`.
pub fn invent_vehicle(scenario: &mut Scenario) {
    let years: Vec<(u32, char)> = (2016..).zip(YEARS).collect();
    let (kind, make, model, body, trim) = scenario.one_of(MODELS);
    let (year, letter) = scenario.one_of(&years);
    let plant = scenario.one_of(&['A', 'B', 'C', 'H', 'L']);
    // The serial number is the scenario's, so that no two scenarios inspect the same car.
    let vin = with_check_digit(&format!("{kind}0{letter}{plant}{:06}", scenario.id() % 1_000_000));
    let color = scenario.one_of(&["White", "Black", "Silver", "Grey", "Blue", "Red"]);
    let (year, odometer) = (year.to_string(), scenario.between(1_200, 160_000).to_string());
    let names = ["vin", "year", "make", "model", "body", "trim", "color", "odometer"];
    let values: [&str; 8] = [&vin, &year, make, model, body, trim, color, &odometer];
    names.into_iter().zip(values).for_each(|(name, value)| scenario.set(name, value));
}

fn with_check_digit(vin: &str) -> String {
    let sum: u32 = vin.chars().zip(WEIGHTS).map(|(c, weight)| value(c) * weight).sum();
    let digit = char::from_digit(sum % 11, 10).unwrap_or('X');
    vin.chars().enumerate().map(|(place, c)| if place == CHECK { digit } else { c }).collect()
}

// I, O and Q do not occur: they look like digits.
fn value(c: char) -> u32 {
    match c {
        'A'..='H' => c as u32 - 'A' as u32 + 1,
        'J'..='R' => c as u32 - 'J' as u32 + 1,
        'S'..='Z' => c as u32 - 'S' as u32 + 2,
        _ => c.to_digit(10).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    #[test]
    fn the_check_digit_is_that_of_known_vins() {
        // From the Wikipedia article on VINs, and all ones.
        for vin in ["1M8GDM9AXKP042788", "11111111111111111"] {
            let unchecked: String =
                vin.chars().enumerate().map(|(place, c)| if place == CHECK { '0' } else { c }).collect();
            assert_eq!(with_check_digit(&unchecked), vin);
        }
    }

    #[test]
    fn vins_have_seventeen_characters() {
        for number in 0..200 {
            let mut scenario = Scenario::new(3, number, TimeDelta::zero());
            invent_vehicle(&mut scenario);
            let vin = scenario.fill("{vin}", "").expect("a VIN");
            assert_eq!(vin.len(), 17, "{vin}");
            assert!(!vin.contains(['I', 'O', 'Q']), "{vin}");
        }
    }
}
