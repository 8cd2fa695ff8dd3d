//! The order of a list, by a column of its table.

use std::{cmp::Ordering, convert::Infallible, str::FromStr};

use crate::exit::Failure;

/// By which column, and which way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    column: String,
    way: Way,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

impl FromStr for Order {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Order, Infallible> {
        let (column, way) = match text.strip_prefix('-') {
            Some(column) => (column, Way::Down),
            None => (text, Way::Up),
        };
        Ok(Order {
            column: column.to_lowercase(),
            way,
        })
    }
}

impl Order {
    /// Sorts by what the table shows; numbers by their value. What is equal keeps its place.
    pub(super) fn apply<Item>(
        &self,
        items: &mut [Item],
        headings: &[&str],
        row: impl Fn(&Item) -> Vec<String>,
    ) -> Result<(), Failure> {
        let Some(column) = headings.iter().position(|heading| *heading == self.column) else {
            let message = format!(
                "--sort {}: there is no such column; there are {}",
                self.column,
                headings.join(", ")
            );
            return Err(Failure::usage(message));
        };
        items.sort_by_cached_key(|item| Cell {
            text: row(item).swap_remove(column),
            way: self.way,
        });
        Ok(())
    }
}

#[derive(PartialEq, Eq)]
struct Cell {
    text: String,
    way: Way,
}

impl Ord for Cell {
    fn cmp(&self, other: &Cell) -> Ordering {
        let ordering = match (self.text.parse::<f64>(), other.text.parse::<f64>()) {
            (Ok(mine), Ok(theirs)) => mine.total_cmp(&theirs),
            (Ok(_), Err(_)) => Ordering::Less,
            (Err(_), Ok(_)) => Ordering::Greater,
            (Err(_), Err(_)) => self.text.cmp(&other.text),
        };
        match self.way {
            Way::Up => ordering,
            Way::Down => ordering.reverse(),
        }
    }
}

impl PartialOrd for Cell {
    fn partial_cmp(&self, other: &Cell) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(order: &str) -> Vec<&'static str> {
        let mut items = ["b 9", "a 10", "c 9", "d -"];
        let row = |item: &&str| item.split(' ').map(str::to_owned).collect();
        order
            .parse::<Order>()
            .unwrap()
            .apply(&mut items, &["id", "count"], row)
            .unwrap();
        items.to_vec()
    }

    #[test]
    fn by_text_by_number_and_the_other_way_round() {
        assert_eq!(sorted("id"), ["a 10", "b 9", "c 9", "d -"]);
        assert_eq!(sorted("COUNT"), ["b 9", "c 9", "a 10", "d -"]);
        assert_eq!(sorted("-id"), ["d -", "c 9", "b 9", "a 10"]);
        assert_eq!(sorted("-count"), ["d -", "a 10", "b 9", "c 9"]);
    }

    #[test]
    fn a_column_that_is_not_there_names_those_that_are() {
        let order: Order = "size".parse().unwrap();
        let failure = order
            .apply(&mut [""], &["id", "count"], |_| Vec::new())
            .unwrap_err();
        assert!(failure.to_string().ends_with("there are id, count"), "{failure}");
    }
}
