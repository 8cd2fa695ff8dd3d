//! Where on the globe devices are, as keys: places near one another have keys near one another, mostly.
//!
//! A place is a point on a ball in a cube, and a key says in which of eight parts of the cube it lies, in which of eight
//! parts of that, and so on. So there is no date line, and no pole at which anything would be narrow: what is near is near.

use contract::v1::Device;

use crate::field::has_coordinates;

/// How often the cube is divided: the smallest parts have sides of 12 m.
const LEVELS: u32 = 20;
/// Ranges of keys that one circle is looked for in.
const RANGES_MAX: usize = 24;
/// The mean radius of the earth, kilometres.
pub(crate) const EARTH_KM: f64 = 6371.0;

/// The places of one circle, in the order of their keys; they hold some places around it as well.
pub(crate) type Ranges = Vec<(Vec<u8>, Vec<u8>)>;

/// A point of the ball, in the cube from 0 to 1 on each axis.
#[derive(Debug, Clone, Copy)]
struct Point([f64; 3]);

impl Point {
    /// Of degrees.
    fn of(latitude: f64, longitude: f64) -> Point {
        let (latitude, longitude) = (latitude.to_radians(), longitude.to_radians());
        let axes = [
            latitude.cos() * longitude.cos(),
            latitude.cos() * longitude.sin(),
            latitude.sin(),
        ];
        Point(axes.map(|axis| (axis + 1.0) / 2.0))
    }

    fn number(self) -> u64 {
        let parts = self.0.map(|axis| {
            let part = axis * f64::from(1 << LEVELS);
            (part as u64).min((1 << LEVELS) - 1)
        });
        let bit = |axis: u64, level: u32| axis >> level & 1;
        (0..LEVELS).rev().fold(0, |number, level| {
            parts
                .iter()
                .fold(number, |number, axis| number << 1 | bit(*axis, level))
        })
    }
}

/// Where a device is: where operators say, else where it says itself. Degrees north and east.
pub(crate) fn place(device: &Device) -> Option<(f64, f64)> {
    let places = [device.position.as_ref(), device.location.as_ref()];
    let place = places
        .into_iter()
        .flatten()
        .find(|place| has_coordinates(place))?;
    Some((place.latitude, place.longitude))
}

/// The key of a place.
pub(crate) fn key(latitude: f64, longitude: f64) -> String {
    written(Point::of(latitude, longitude).number())
}

fn written(number: u64) -> String {
    format!("{number:015x}")
}

/// A part of the cube.
#[derive(Debug, Clone, Copy)]
struct Part {
    /// Its corner nearest to the axes.
    corner: [f64; 3],
    side: f64,
    /// The key of its corner, as a number, and how many keys lie within.
    first: u64,
    count: u64,
}

impl Part {
    const ALL: Part = Part {
        corner: [0.0; 3],
        side: 1.0,
        first: 0,
        count: 1 << (3 * LEVELS),
    };

    fn eighths(self) -> impl Iterator<Item = Part> {
        let (side, count) = (self.side / 2.0, self.count / 8);
        (0..8_u8).map(move |n| {
            let mut corner = self.corner;
            for (axis, place) in corner.iter_mut().enumerate() {
                if n >> (2 - axis) & 1 == 1 {
                    *place += side;
                }
            }
            Part {
                corner,
                side,
                first: self.first + u64::from(n) * count,
                count,
            }
        })
    }

    /// Whether a place on the ball may be in it that is no further from this point than `reach`.
    fn may_hold(&self, point: Point, reach: f64) -> bool {
        let far = |from: [f64; 3]| {
            let (mut nearest, mut furthest) = (0.0, 0.0);
            for (corner, from) in self.corner.iter().zip(from) {
                let near = from.clamp(*corner, corner + self.side) - from;
                let most = (corner - from).abs().max((corner + self.side - from).abs());
                nearest += near * near;
                furthest += most * most;
            }
            (f64::sqrt(nearest), f64::sqrt(furthest))
        };
        let (near, _) = far(point.0);
        let (nearest, furthest) = far([0.5; 3]);
        near <= reach && nearest <= 0.5 + SLACK && furthest >= 0.5 - SLACK
    }
}

/// More than sums of a few numbers are ever out by.
const SLACK: f64 = 1e-12;

/// The keys of all places within a distance.
pub(crate) fn around(latitude: f64, longitude: f64, km: f64) -> Ranges {
    let angle = (km.max(0.0) / EARTH_KM).min(std::f64::consts::PI);
    // The straight way through a ball of diameter 1.
    let reach = (angle / 2.0).sin() + SLACK;
    let (point, mut parts) = (Point::of(latitude, longitude), vec![Part::ALL]);
    loop {
        let finer: Vec<Part> = parts
            .iter()
            .flat_map(|part| part.eighths())
            .filter(|part| part.may_hold(point, reach))
            .collect();
        let is_finest = parts.first().is_none_or(|part| part.count == 1);
        if is_finest || ranges(&finer).len() > RANGES_MAX {
            break;
        }
        parts = finer;
    }
    let key = |number: u64| written(number).into_bytes();
    ranges(&parts)
        .into_iter()
        .map(|(first, last)| (key(first), key(last)))
        .collect()
}

/// Neighbours as one.
fn ranges(parts: &[Part]) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for part in parts {
        let last = part.first + (part.count - 1);
        match ranges.last_mut() {
            Some(range) if range.1 + 1 == part.first => range.1 = last,
            _ => ranges.push((part.first, last)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn distance_km(one: (f64, f64), other: (f64, f64)) -> f64 {
        let [a, b] = [one, other].map(|(latitude, longitude)| Point::of(latitude, longitude).0);
        let chord = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        2.0 * EARTH_KM * chord.min(1.0).asin()
    }

    fn holds(ranges: &Ranges, place: (f64, f64)) -> bool {
        let key = key(place.0, place.1).into_bytes();
        ranges.iter().any(|(first, last)| (first..=last).contains(&&key))
    }

    #[test]
    fn circles_hold_what_is_near_and_little_else_everywhere() {
        for centre in [
            (52.52, 13.4),
            (0.0, 0.0),
            (0.0, 180.0),
            (-17.0, -179.999),
            (90.0, 0.0),
            (-90.0, 123.0),
            (89.99, -60.0),
            (35.264_389_7, 45.0),
        ] {
            for km in [0.0, 0.1, 5.0, 100.0, 3_000.0] {
                let ranges = around(centre.0, centre.1, km);
                assert!(
                    ranges.len() <= RANGES_MAX && !ranges.is_empty(),
                    "{centre:?} {km}"
                );
                assert!(holds(&ranges, centre));
                // Sixteen ways at the very edge, and far beyond it.
                for n in 0..16 {
                    let turn = f64::from(n) * std::f64::consts::PI / 8.0;
                    assert!(
                        holds(&ranges, towards(centre, turn, km * 0.999)),
                        "{centre:?} {km} {n}"
                    );
                    let beyond = towards(centre, turn, km * 6.0 + 0.1);
                    assert!(km > 1_000.0 || !holds(&ranges, beyond), "{centre:?} {km} {n}");
                }
            }
        }
    }

    /// Where one comes from a place, in a direction, after so many kilometres.
    fn towards((latitude, longitude): (f64, f64), turn: f64, km: f64) -> (f64, f64) {
        let (latitude, way) = (latitude.to_radians(), km / EARTH_KM);
        let there = (latitude.sin() * way.cos() + latitude.cos() * way.sin() * turn.cos()).asin();
        let aside = (turn.sin() * way.sin() * latitude.cos()).atan2(way.cos() - latitude.sin() * there.sin());
        let longitude = longitude + aside.to_degrees();
        (there.to_degrees(), (longitude + 540.0).rem_euclid(360.0) - 180.0)
    }

    #[test]
    fn the_whole_globe_is_a_circle_too() {
        let ranges = around(10.0, 20.0, 21_000.0);
        for latitude in (-90..=90).step_by(15) {
            for longitude in (-180..=180).step_by(20) {
                assert!(holds(&ranges, (f64::from(latitude), f64::from(longitude))));
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_near_is_missed(
            latitude in -90.0..=90.0_f64, longitude in -180.0..=180.0_f64,
            turn in 0.0..6.3_f64, km in 0.0..20_000.0_f64, part in 0.0..=1.0_f64,
        ) {
            let centre = (latitude, longitude);
            let near = towards(centre, turn, km * part);
            prop_assume!(distance_km(centre, near) <= km);
            prop_assert!(holds(&around(latitude, longitude, km), near));
        }
    }
}
