//! Invented vehicles of makes that there are, with VINs that pass the check of 49 CFR 565.15.

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

/// The model years' letters from 2016 on.
const YEARS: &str = "GHJKLMNPR";
const FIRST_YEAR: i64 = 2016;

/// The weights of a VIN's characters; the ninth is the check digit.
const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
const CHECK: usize = 8;

/// A vehicle.
#[derive(Clone, Debug)]
pub struct FakeVehicle {
    pub vin: String,
    pub year: i64,
    pub make: &'static str,
    pub model: &'static str,
    pub body: &'static str,
    pub trim: &'static str,
    pub color: &'static str,
    pub odometer: i64,
}

impl FakeVehicle {
    pub fn new(scenario: &mut Scenario) -> FakeVehicle {
        let (kind, make, model, body, trim) = scenario.one_of(MODELS);
        let age = scenario.between(0..=8);
        let letter = usize::try_from(age).ok().and_then(|age| YEARS.chars().nth(age)).unwrap_or('R');
        // The serial number is the scenario's, so that no two runs inspect the same car.
        let vin =
            format!("{kind}0{letter}{}{:06}", scenario.one_of(&['A', 'B', 'C', 'H', 'L']), scenario.id() % 1_000_000);
        FakeVehicle {
            vin: with_check_digit(&vin),
            year: FIRST_YEAR + age,
            make,
            model,
            body,
            trim,
            color: scenario.one_of(&["White", "Black", "Silver", "Grey", "Blue", "Red"]),
            odometer: scenario.between(1_200..=160_000),
        }
    }
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
            let vehicle = FakeVehicle::new(&mut Scenario::new(3, number, TimeDelta::zero()));
            assert_eq!(vehicle.vin.len(), 17, "{vehicle:?}");
            assert!(!vehicle.vin.contains(['I', 'O', 'Q']), "{vehicle:?}");
        }
    }
}
